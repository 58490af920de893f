// Defects in what a shard does with calls that wait for values.
//
// Owns nothing.

import NIOCore
import NodeCore
import RingstoreAPI

extension ShardFaultInjector {
  // MARK: - On the way in

  /// The frame, as if no caller were ever gone.
  func withoutCancels(_ frame: ByteBuffer) -> ByteBuffer {
    frame.withUnsafeReadableBytes { bytes in
      guard var message = try? LinkV1.RouterFrame(bytes) else { return frame }
      message.cancels = RepeatedNumbers()
      var changed = ByteBuffer()
      message.write(into: &changed)
      return changed
    }
  }

  /// A connection brings a frame, perhaps with a Hello.
  func noteParked(_ frame: ByteBuffer, _ connection: SimulatedConnection) {
    guard context.configuration.sabotage == .knowsNoRuns else { return }
    frame.withUnsafeReadableBytes { bytes in
      guard let hello = try? LinkV1.RouterFrame(bytes).hello else { return }
      parkedCalls[connection.number] = Array(hello.parkedCalls)
    }
  }

  // MARK: - On the way out

  /// Two calls that wait for the same lists get each other's replies.
  func outOfTurn(_ frame: ByteBuffer, _ connection: SimulatedConnection) -> ByteBuffer {
    copy(of: frame, withOthers: true) { reply, copy in
      guard !reply.parked, let key = probe.waiting(reply.id, connection) else { return true }
      if swapped[key] == nil, let other = probe.rival(of: key) {
        swapped[key] = other.id
        swapped[other] = key.id
      }
      guard let other = swapped[key] else { return true }
      write(reply, as: other, into: &copy)
      return false
    }
  }

  /// What a call takes that waited is given to another one as well.
  func servedTwice(_ frame: ByteBuffer, _ connection: SimulatedConnection) -> ByteBuffer {
    copy(of: frame, withOthers: true) { reply, copy in
      if isServed(reply, connection), let key = probe.waiting(reply.id, connection),
        let other = probe.rival(of: key)
      {
        write(reply, as: other.id, into: &copy)
      }
      return true
    }
  }

  /// What a call takes that waited gets lost.
  func withoutValues(_ frame: ByteBuffer, _ connection: SimulatedConnection) -> ByteBuffer {
    copy(of: frame, withOthers: true) { reply, copy in
      guard isServed(reply, connection), context.chance(0.3) else { return true }
      copy.writeReply(.link, id: reply.id, response: UnsafeRawBufferPointer(start: nil, count: 0))
      return false
    }
  }

  /// Calls that have waited long enough are told nothing.
  func withoutEnds(_ frame: ByteBuffer, _ connection: SimulatedConnection) -> ByteBuffer {
    copy(of: frame, withOthers: true) { reply, _ in
      guard !reply.parked, !reply.more, reply.isOK else { return true }
      return probe.waiting(reply.id, connection) == nil || isServed(reply, connection)
    }
  }

  /// The shard forgets which calls have run, or says of all that they may have.
  func withOtherRuns(_ frame: ByteBuffer, _ connection: SimulatedConnection) -> ByteBuffer {
    let ids = parkedCalls[connection.number] ?? []
    if context.configuration.sabotage == .forgetsRuns { breakAsServed(frame, connection) }
    return copy(of: frame, withOthers: true) { message, copy in
      guard var hello = try? LinkV1.HelloReply(message) else { return }
      ids.withUnsafeBufferPointer { ids in
        hello.ranCalls = RepeatedNumbers(ids)
        copy.append(LinkV1.ShardFrame.Field.hello, hello)
      }
    } _: { _, _ in
      true
    }
  }

  /// The shard says that what it has executed is gone with its memory.
  func withoutRecovery(_ frame: ByteBuffer, _ connection: SimulatedConnection) -> ByteBuffer {
    if breakAsServed(frame, connection) { probe.cluster.shards[connection.shard].storage?.die() }
    return copy(of: frame, withOthers: true) { message, copy in
      guard var hello = try? LinkV1.HelloReply(message) else { return }
      hello.recovers = false
      copy.append(LinkV1.ShardFrame.Field.hello, hello)
    } _: { _, _ in
      true
    }
  }

  /// Now and then the connection breaks over the reply of a call that waited. Returns whether.
  @discardableResult
  private func breakAsServed(_ frame: ByteBuffer, _ connection: SimulatedConnection) -> Bool {
    var serves = false
    _ = copy(of: frame, withOthers: false) { reply, _ in
      if isServed(reply, connection) { serves = true }
      return false
    }
    guard serves, context.chance(0.3) else { return false }
    connection.toRouter.cut(keepsNothing: true, notice: (.closed("reset"), 1_000_000))
    connection.toShard.cut(keepsNothing: true, notice: (.closed("reset"), 1_000_000))
    return true
  }

  /// Whether a reply tells a call that waited of a value.
  private func isServed(_ reply: LinkV1.LinkReply, _ connection: SimulatedConnection) -> Bool {
    guard !reply.parked, !reply.more, reply.isOK, probe.waiting(reply.id, connection) != nil else {
      return false
    }
    return (try? V1.Value(reply.response).found) ?? false
  }

  private func write(_ reply: LinkV1.LinkReply, as id: UInt64, into frame: inout ByteBuffer) {
    var other = reply
    other.id = id
    frame.append(LinkV1.ShardFrame.Field.replies, other)
  }
}

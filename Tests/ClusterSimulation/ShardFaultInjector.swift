// Defects of a shard, put in on purpose: frames are changed on their way in or out.
//
// Owns what the defects need to remember. One thread. Without sabotage it changes nothing. What is
// done to calls that wait stands in ShardFaultInjector+Parked.swift, what is done to maps in
// ShardFaultInjector+Maps.swift.

import Commands
import NIOCore
import NodeCore
import RingstoreAPI
import ShardNode

final class ShardFaultInjector {
  let context: SimulationContext
  let probe: ExecutionObserver
  /// Calls that get each other's replies.
  var swapped: [ExecutionObserver.LinkCallKey: UInt64] = [:]
  /// What the latest Hello of a connection asks, by the connection's number.
  var parkedCalls: [Int: [UInt64]] = [:]

  init(_ context: SimulationContext, _ probe: ExecutionObserver) {
    self.context = context
    self.probe = probe
  }

  // MARK: - On the way in

  /// The frame that the shard reads instead of one.
  func received(_ frame: ByteBuffer, _ core: ShardCore, _ limits: Limits) -> ByteBuffer {
    switch context.configuration.sabotage {
    case .ignoresFence: withoutFence(frame, limits)
    case .ignoresAge: withoutAge(frame)
    case .ignoresMaps: withOwnMap(frame, core)
    case .appendsTwice: withTwins(frame)
    case .losesCancels: withoutCancels(frame)
    case .ignoresVersions, .ignoresValues, .setsSomeKeys: withOtherRequests(frame)
    default: frame
    }
  }

  /// The frame, as if its router had just heard the shard's clock.
  private func withoutAge(_ frame: ByteBuffer) -> ByteBuffer {
    frame.withUnsafeReadableBytes { bytes in
      guard var message = try? LinkV1.RouterFrame(bytes) else { return frame }
      message.heardMillis = RouterFaultInjector.newestClock
      var changed = ByteBuffer()
      message.write(into: &changed)
      return changed
    }
  }

  /// The frame, in which each connection comes as a router of its own: none is newer than another.
  private func withoutFence(_ frame: ByteBuffer, _ limits: Limits) -> ByteBuffer {
    frame.withUnsafeReadableBytes { bytes in
      guard var message = try? LinkV1.RouterFrame(bytes), var hello = message.hello else {
        return frame
      }
      let router = String(decoding: hello.router, as: UTF8.self) + " \(hello.generation)"
      let check = limits.hashSeed.check(
        cluster: String(decoding: hello.cluster, as: UTF8.self), router: router,
        generation: hello.generation, shard: String(decoding: hello.expectedShard, as: UTF8.self))
      var changed = ByteBuffer()
      Array(router.utf8).withUnsafeBytes { router in
        check.withUnsafeBytes { check in
          (hello.router, hello.hashSeedCheck) = (router, check)
          message.hello = hello
          message.write(into: &changed)
        }
      }
      return changed
    }
  }

  /// The frame, with what is to be appended twice in each Append.
  private func withTwins(_ frame: ByteBuffer) -> ByteBuffer {
    frame.withUnsafeReadableBytes { bytes in
      guard var message = try? LinkV1.RouterFrame(bytes) else { return frame }
      let calls = message.calls.map { $0 }
      guard calls.contains(where: { $0.method == Command.append.method }) else { return frame }
      message.calls = RepeatedMessages()
      var copy = ByteBuffer()
      message.write(into: &copy)
      for var call in calls {
        guard call.method == Command.append.method,
          var append = try? V1.AppendRequest(call.request)
        else {
          copy.append(LinkV1.RouterFrame.Field.calls, call)
          continue
        }
        (Array(append.value) + Array(append.value)).withUnsafeBytes { value in
          append.value = value
          var request = ByteBuffer()
          append.write(into: &request)
          request.withUnsafeReadableBytes { request in
            call.request = request
            copy.append(LinkV1.RouterFrame.Field.calls, call)
          }
        }
      }
      return copy
    }
  }

  // MARK: - On the way out

  /// The frames that are sent instead of one.
  func sent(_ frame: ByteBuffer, _ connection: SimulatedConnection) -> [ByteBuffer] {
    switch context.configuration.sabotage {
    case .repliesTwice: [frame] + repeated(frame, connection)
    case .skipsSlices: [withoutKeys(frame, connection)]
    case .miscounts: [miscounted(frame, connection)]
    case .tellsOtherPrevious, .repeatsVersions, .miscountsTouched, .inspectsWrong:
      [withOtherReplies(frame, connection)]
    case .servesOutOfTurn: [outOfTurn(frame, connection)]
    case .servesTwice: [servedTwice(frame, connection)]
    case .losesValues: [withoutValues(frame, connection)]
    case .neverEndsWaits: [withoutEnds(frame, connection)]
    case .forgetsRuns, .knowsNoRuns: [withOtherRuns(frame, connection)]
    case .hidesThatItRecovers: [withoutRecovery(frame, connection)]
    default: [frame]
    }
  }

  /// A copy of the frame. `change` says of each reply whether it is copied as it is; where not, it
  /// may write another one.
  func copy(
    of frame: ByteBuffer, withOthers: Bool,
    hello: (UnsafeRawBufferPointer, inout ByteBuffer) -> Void = {
      $1.append(LinkV1.ShardFrame.Field.hello, $0)
    },
    _ change: (LinkV1.LinkReply, inout ByteBuffer) -> Bool
  ) -> ByteBuffer {
    typealias Field = LinkV1.ShardFrame.Field
    var copy = ByteBuffer()
    frame.withUnsafeReadableBytes { bytes in
      var parts = LinkV1.ShardFrame.Parts(bytes)
      while let part = try? parts.next() {
        switch part {
        case .replies(let message):
          guard let reply = try? LinkV1.LinkReply(message) else { continue }
          if change(reply, &copy) { copy.append(Field.replies, message) }
        case .hello(let message): if withOthers { hello(message, &copy) }
        case .draining(let isDraining): if withOthers { copy.write(Field.draining, isDraining) }
        case .clockMillis(let millis): if withOthers { copy.append(Field.clockMillis, millis) }
        case .mapReply(let message): if withOthers { copy.append(Field.mapReply, message) }
        case .mapNews(let message): if withOthers { copy.append(Field.mapNews, message) }
        }
      }
    }
    return copy
  }

  /// The last pieces of large replies, once more.
  private func repeated(_ frame: ByteBuffer, _ connection: SimulatedConnection) -> [ByteBuffer] {
    let again = copy(of: frame, withOthers: false) { reply, _ in
      !reply.more && probe.isInParts(reply.id, connection)
    }
    return again.readableBytes == 0 ? [] : [again]
  }

  /// Now and then a slice comes without its keys.
  private func withoutKeys(_ frame: ByteBuffer, _ connection: SimulatedConnection) -> ByteBuffer {
    copy(of: frame, withOthers: true) { reply, copy in
      guard probe.method(reply.id, connection) == InternalMethod.keysPart.rawValue, reply.isOK,
        context.chance(0.3),
        let slice = try? LinkV1.KeysPartReply(reply.response)
      else { return true }
      var empty = ByteBuffer()
      LinkV1.KeysPartReply(
        nextSlot: slice.nextSlot, nextCursor: slice.nextCursor, done: slice.done
      ).write(into: &empty)
      empty.withUnsafeReadableBytes { copy.writeReply(.link, id: reply.id, response: $0) }
      return false
    }
  }

  /// Lengths of strings are one too large.
  private func miscounted(_ frame: ByteBuffer, _ connection: SimulatedConnection) -> ByteBuffer {
    let counting = [Command.append, .strLen].map(\.method)
    return copy(of: frame, withOthers: true) { reply, copy in
      guard counting.contains(probe.method(reply.id, connection)), reply.isOK,
        var status = try? V1.Status(reply.response)
      else { return true }
      status.count += 1
      var response = ByteBuffer()
      status.write(into: &response)
      response.withUnsafeReadableBytes { copy.writeReply(.link, id: reply.id, response: $0) }
      return false
    }
  }
}

// Defects of a shard, put in on purpose: what it sends is changed on its way out.
//
// Owns nothing. One thread. Without sabotage it changes nothing.

import NIOCore
import NodeCore
import RingstoreAPI

struct ShardSaboteur {
  private let context: SimulationContext
  private let probe: ExecutionProbe

  init(_ context: SimulationContext, _ probe: ExecutionProbe) {
    self.context = context
    self.probe = probe
  }

  /// The frames that are sent instead of one.
  func changed(_ frame: ByteBuffer, _ connection: SimulatedConnection) -> [ByteBuffer] {
    switch context.configuration.sabotage {
    case .answersTwice: [frame] + repeated(frame, connection)
    case .skipsSlices: [withoutKeys(frame, connection)]
    default: [frame]
    }
  }

  /// A copy of the frame. `change` says of each reply whether it is copied as it is; where not, it may
  /// write another one.
  private func copy(
    of frame: ByteBuffer, withOthers: Bool,
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
        case .hello(let message): if withOthers { copy.append(Field.hello, message) }
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
      guard probe.method(reply.id, connection) == .keysPart, reply.isOK, context.chance(0.3),
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
}

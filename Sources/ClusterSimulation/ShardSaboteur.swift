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

  private func message(_ frame: ByteBuffer) -> Ringstore_Internal_V1_ShardFrame? {
    try? Ringstore_Internal_V1_ShardFrame(serializedBytes: Array(frame.readableBytesView))
  }

  private func frame(_ message: Ringstore_Internal_V1_ShardFrame) -> ByteBuffer? {
    guard let bytes: [UInt8] = try? message.serializedBytes() else { return nil }
    return ByteBuffer(bytes: bytes)
  }

  /// The last pieces of large replies, once more.
  private func repeated(_ frame: ByteBuffer, _ connection: SimulatedConnection) -> [ByteBuffer] {
    guard var message = message(frame) else { return [] }
    message.replies.removeAll { $0.more || !probe.isInParts($0.id, connection) }
    message.clearHello()
    return message.replies.isEmpty ? [] : self.frame(message).map { [$0] } ?? []
  }

  /// Now and then a slice comes without its keys.
  private func withoutKeys(_ frame: ByteBuffer, _ connection: SimulatedConnection) -> ByteBuffer {
    guard var message = message(frame) else { return frame }
    for index in message.replies.indices {
      let reply = message.replies[index]
      guard probe.method(reply.id, connection) == .keysPart, reply.code == 0, context.chance(0.3)
      else { continue }
      message.replies[index].response = .init(Self.withoutKeys(Array(reply.response)))
    }
    return self.frame(message) ?? frame
  }

  private static func withoutKeys(_ response: [UInt8]) -> [UInt8] {
    response.withUnsafeBytes { bytes in
      guard let slice = try? KeysPartReplyView(bytes) else { return response }
      var empty = ByteBuffer()
      empty.writeKeysPartEnd(
        nextSlot: slice.nextSlot, nextCursor: slice.nextCursor, done: slice.done)
      return Array(empty.readableBytesView)
    }
  }
}

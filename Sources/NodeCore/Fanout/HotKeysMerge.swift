// HotKeys: the keys of all shards that calls look up most often.

import Commands
import NIOCore
import RingstoreAPI

package struct HotKeysMerge: FanoutReducer {
  /// Keys of a reply: the default and the maximum.
  package static let countDefault: UInt32 = 10
  package static let countMax: UInt32 = 100

  package let part = InternalMethod.hotKeysPart
  package let lane = LinkLane.bulk
  package let allowsPartial = true
  package let tellsOfClusterState = true
  private let count: UInt32
  private let bytesMax: Int
  /// The encoded keys, the hottest one first.
  private var keys: [(rate: Double, bytes: ByteBuffer)] = []
  /// The highest dropped rate: no lower one may be added after it.
  private var droppedRate = -1.0
  private var unreachable: [CallError] = []

  package init(_ call: V1.HotKeysRequest, _ limits: Limits) throws(CallError) {
    bytesMax = limits.maxMessageBytes / 2
    if call.hasUnknownField { throw .unknownField }
    count = call.count == 0 ? Self.countDefault : min(call.count, Self.countMax)
  }

  package var heldBytes: Int { keys.reduce(0) { $0 + $1.bytes.readableBytes } }

  package mutating func request(shard: Int) -> ByteBuffer {
    var request = ByteBuffer()
    V1.HotKeysRequest(count: count).write(into: &request)
    return request
  }

  package mutating func merge(
    _ response: UnsafeRawBufferPointer, shard: Int
  ) throws(CallError) -> Bool {
    for key in try V1.HotKeysResponse(decoding: response).keys {
      let place = keys.firstIndex { $0.rate < key.callsPerSecond } ?? keys.count
      if place >= Int(count) || key.callsPerSecond <= droppedRate { continue }
      var bytes = ByteBuffer()
      key.write(into: &bytes)
      keys.insert((key.callsPerSecond, bytes), at: place)
      if keys.count > Int(count) { keys.removeLast() }
    }
    while heldBytes > bytesMax { droppedRate = max(droppedRate, keys.removeLast().rate) }
    return false
  }

  package mutating func missing(_ error: CallError, shard: Int) { unreachable.append(error) }

  package func reply() -> ByteBuffer {
    var reply = ByteBuffer()
    for key in keys {
      key.bytes.withUnsafeReadableBytes { reply.append(V1.HotKeysResponse.Field.keys, $0) }
    }
    for error in unreachable { reply.append(V1.HotKeysResponse.Field.unreachable, error) }
    return reply
  }
}

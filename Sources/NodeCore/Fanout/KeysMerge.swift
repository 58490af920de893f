// Keys without a limit: what every shard finds, slice by slice, in one reply.

import Commands
import NIOCore
import RingstoreAPI

package struct KeysMerge: ShardMerge {
  /// Keys that one slice looks at, beside the shard's own bound in time.
  package static let visitsPerSlice = KeyQuery.visitsPerSlice
  /// Bytes of keys that one slice answers with; the key that passes it is still in.
  package static let bytesPerSlice: UInt32 = 64 << 10

  package let part = InternalMethod.keysPart
  package let lane = LinkLane.bulk
  package let allowsPartial: Bool
  private let query: KeyQuery
  private let from: ScanPosition
  private let bytesMax: Int
  private var positions: [Int: ScanPosition] = [:]
  private var found = ByteBuffer()
  private var unreachable: [CallError] = []

  /// - Throws: BAD_PATTERN, NO_SUCH_DATABASE, BAD_PAGE_TOKEN.
  package init(_ call: V1.KeysRequest, _ context: CallContext, _ limits: Limits) throws(CallError) {
    query = try KeyQuery(call.pattern, database: call.database, type: .none, context, limits)
    from = try query.position(of: call.pageToken)
    allowsPartial = call.allowPartial
    bytesMax = limits.maxMessageBytes
  }

  package mutating func request(shard: Int) -> ByteBuffer {
    query.request(
      from: positions[shard] ?? from, endSlot: 0, maxKeys: 0, maxBytes: Self.bytesPerSlice,
      wantsPositions: false)
  }

  package mutating func merge(
    _ response: UnsafeRawBufferPointer, shard: Int
  ) throws(CallError) -> Bool {
    let slice = try LinkV1.KeysPartReply(decoding: response)
    for key in slice.keys { found.append(V1.KeysResponse.Field.keys, key) }
    positions[shard] = ScanPosition(slot: slice.nextSlot, cursor: slice.nextCursor)
    if found.readableBytes <= bytesMax { return !slice.done }
    throw .responseTooLarge(of: .keys)
  }

  package mutating func missing(_ error: CallError, shard: Int) {
    unreachable.append(error)
  }

  package var heldBytes: Int { found.readableBytes }

  package mutating func answer() -> ByteBuffer {
    // Taken, not copied: it may be large.
    var answer = ByteBuffer()
    swap(&answer, &found)
    for error in unreachable { answer.append(V1.KeysResponse.Field.unreachable, error) }
    return answer
  }
}

// Keys: what every shard finds, slice by slice, in one reply.

import NIOCore
import RingstoreAPI

package struct KeysMerge: ShardMerge {
  /// Keys that one slice looks at: well below a millisecond, even with a regular expression.
  package static let visitsPerSlice: UInt32 = 1_024
  /// Bytes of keys that one slice answers with; the key that passes it is still in.
  package static let bytesPerSlice: UInt32 = 256 << 10

  package let method = InternalMethod.keysPart.rawValue
  package let allowsPartial: Bool
  private let pattern: (kind: PatternView.Kind, text: [UInt8])
  private let database: UInt32
  private let bytesMax: Int
  private var positions: [Int: (slot: UInt32, cursor: UInt64)] = [:]
  private var found = ByteBuffer()
  private var unreachable: [CallError] = []

  package init(_ view: KeysView, _ limits: Limits) throws(CallError) {
    guard view.limit == 0 else { throw .unservedField("limit") }
    guard view.pageToken.isEmpty else { throw .unservedField("page_token") }
    guard view.pattern.kind != .unset else {
      throw .badPattern("it is neither a glob, a regular expression nor a prefix.")
    }
    if let refusal = limits.refusal(database: view.database) { throw refusal }
    pattern = (view.pattern.kind, Array(view.pattern.text))
    database = view.database
    allowsPartial = view.allowPartial
    bytesMax = limits.maxMessageBytes
  }

  package mutating func request(shard: Int) -> ByteBuffer {
    let position = positions[shard] ?? (slot: 0, cursor: 0)
    var part = KeysPartRequest()
    part.database = database
    part.startSlot = position.slot
    part.cursor = position.cursor
    part.maxBytes = Self.bytesPerSlice
    part.maxVisits = Self.visitsPerSlice
    var request = ByteBuffer()
    pattern.text.withUnsafeBytes { text in
      part.pattern = PatternView(kind: pattern.kind, text: text)
      request.writeKeysPartRequest(part)
    }
    return request
  }

  package mutating func merge(
    _ response: UnsafeRawBufferPointer, shard: Int
  ) throws(CallError) -> Bool {
    do throws(WireError) {
      let slice = try KeysPartReplyView(response)
      for key in slice.keys { found.writeKeysKey(key) }
      positions[shard] = (slice.nextSlot, slice.nextCursor)
      if found.readableBytes <= bytesMax { return !slice.done }
    } catch {
      throw .undecodable(error)
    }
    throw .responseTooLarge(streamingCall: nil)
  }

  package mutating func missing(_ error: CallError, shard: Int) {
    unreachable.append(error)
  }

  package func answer() -> ByteBuffer {
    var answer = found
    answer.writeKeysEnd(
      nextPageToken: UnsafeRawBufferPointer(start: nil, count: 0), unreachable: unreachable)
    return answer
  }
}

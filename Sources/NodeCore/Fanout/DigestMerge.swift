// Digest: the digests of all shards.

import Commands
import NIOCore
import RingstoreAPI

package struct DigestMerge: FanoutReducer {
  package let part = InternalMethod.digestPart
  package let lane = LinkLane.bulk
  package let allowsPartial = true
  package let tellsOfClusterState = true
  private let call: (slots: Bool, withVersions: Bool)
  private let bytesMax: Int
  /// The encoded reply of each shard.
  private var shards: [Int: ByteBuffer] = [:]
  private var unreachable: [CallError] = []

  package init(_ call: V1.DigestRequest, _ limits: Limits) throws(CallError) {
    if call.hasUnknownField { throw .unknownField }
    self.call = (call.slots, call.withVersions)
    bytesMax = limits.maxMessageBytes
  }

  package var heldBytes: Int { shards.values.reduce(0) { $0 + $1.readableBytes } }

  package func request(shard: Int) -> ByteBuffer {
    var request = ByteBuffer()
    V1.DigestRequest(slots: call.slots, withVersions: call.withVersions).write(into: &request)
    return request
  }

  package mutating func merge(
    _ response: UnsafeRawBufferPointer, shard: Int
  ) throws(CallError) -> Bool {
    _ = try V1.ShardDigest(decoding: response)
    shards[shard] = ByteBuffer(bytes: response)
    // Bytes for lengths and errors, in addition to the shards' bytes.
    guard heldBytes + 64 * shards.count <= bytesMax else {
      throw .responseTooLarge(streamingCall: nil)
    }
    return false
  }

  package mutating func missing(_ error: CallError, shard: Int) { unreachable.append(error) }

  package func reply() -> ByteBuffer {
    var reply = ByteBuffer()
    for (_, digest) in shards.sorted(by: { $0.key < $1.key }) {
      digest.withUnsafeReadableBytes { reply.append(V1.DigestResponse.Field.shards, $0) }
    }
    for error in unreachable { reply.append(V1.DigestResponse.Field.unreachable, error) }
    return reply
  }
}

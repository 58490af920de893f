// RandomKey: every shard draws one of its keys and reports its number of keys; the reply is one of
// the drawn keys, at random, weighted by these numbers. So all keys are equally likely, in one
// round.
//
// For a caller that may see only some of the keys, a shard draws several, and estimates how many
// keys these represent. If the caller may see very few, the number of draws is limited.

import Commands
import NIOCore
import RingstoreAPI

package struct RandomKeyMerge: FanoutReducer {
  package let part = InternalMethod.randomKeyPart
  package let allowsPartial = false
  private let database: UInt32
  private var random = SplitMix64(seed: 0)
  /// Keys of the shards that have replied.
  private var keys: UInt64 = 0
  private var drawn: [UInt8]?
  /// Rounds of draws that have found nothing that the caller may see, by shard.
  private var hiddenRounds: [Int: Int] = [:]
  private static let hiddenRoundsMax = 64

  package init(
    _ call: V1.RandomKeyRequest, _ context: CallContext, _ limits: Limits
  ) throws(CallError) {
    try KeyAccess.check(database: call.database, context, KeyLimits(limits))
    database = call.database
  }

  package mutating func begin(on cluster: any FanoutCluster) {
    random = SplitMix64(seed: cluster.randomNumber())
  }

  package mutating func request(shard: Int) -> ByteBuffer {
    var request = ByteBuffer()
    LinkV1.RandomKeyPartRequest(database: database, seed: random.next()).write(into: &request)
    return request
  }

  package mutating func merge(
    _ response: UnsafeRawBufferPointer, shard: Int
  ) throws(CallError) -> Bool {
    let reply = try LinkV1.RandomKeyPartReply(decoding: response)
    if reply.hidden {
      hiddenRounds[shard, default: 0] += 1
      return hiddenRounds[shard, default: 0] < Self.hiddenRoundsMax
    }
    if reply.again { return true }
    guard reply.found, reply.keys > 0 else { return false }
    let count = UInt64(reply.keys)
    keys &+= count
    if random.next(upperBound: max(keys, 1)) < count { drawn = Array(reply.key) }
    return false
  }

  package mutating func missing(_ error: CallError, shard: Int) {}

  package func reply() -> ByteBuffer {
    var reply = ByteBuffer()
    (drawn ?? []).withUnsafeBytes {
      V1.RandomKeyResponse(key: $0, found: drawn != nil).write(into: &reply)
    }
    return reply
  }
}

// What routers and shards agree on, beyond the messages of link.proto.

import RingstoreAPI

package enum LinkProtocol {
  /// The version that Hello names; a shard refuses any other.
  package static let version: UInt32 = 5
  /// The path of the link's one method.
  package static let path = LinkV1.Link.exchange.path
  /// Either side closes a frame that has grown past this size.
  package static let frameBytes = 256 << 10
  /// The metadata of the link's call that names the lane.
  package static let laneMetadata = "ringstore-lane"
  /// What a router grants a streamed reply at its beginning, and keeps granted while its caller
  /// takes what comes.
  package static let streamCreditBytes = 256 << 10

  /// How often a shard tells its routers its clock, and looks whether they live.
  package static let clockIntervalNanos: UInt64 = 500_000_000
  /// A lane on which so many looks in a row have found nothing new is silent: the shard closes its
  /// link. Looks are counted, not time: a shard that was itself stopped has not looked meanwhile.
  package static let silentLooksMax = 10
  /// A call is executed at most this much later than its shard's clock was when its router heard it
  /// last before it sent the call. So this is how long after a write was told as unknown it may
  /// still take effect, however it was delayed.
  package static let callAgeMillisMax: UInt64 = 10_000

  /// The longest frame: one that was about to be closed, and then the longest message in its
  /// wrapping.
  package static func messageBytesMax(_ limits: Limits) -> Int {
    limits.maxMessageBytes + frameBytes + Limits.linkHeadroomBytes
  }
}

/// The two connections of a link. They share a generation, so that a newer link fences both.
package enum LinkLane: String, Sendable, CaseIterable {
  /// Small calls and their replies.
  case calls
  /// Large requests, large replies, streamed replies, slices of fan-outs that answer much.
  case bulk
}

extension CallError {
  package static func requestTooLarge(_ bytes: Int, _ limits: Limits) -> CallError {
    CallError(
      code: .resourceExhausted,
      message: "The request has \(bytes) bytes; \(limits.maxMessageBytes) is the most.")
  }
}

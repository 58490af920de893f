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
  /// The credit that a router grants a streamed reply at its beginning, and keeps granted while its
  /// caller reads.
  package static let streamCreditBytes = 256 << 10

  /// How often a shard sends its clock to its routers, and checks whether they are alive.
  package static let clockIntervalNanos: UInt64 = 500_000_000
  /// A lane is silent after this many checks in a row without new bytes: the shard closes its link.
  /// Checks are counted, not time: a suspended shard makes no checks meanwhile.
  package static let silentLooksMax = 10
  /// A call is executed at most this much later than the newest shard clock that its router had
  /// received when it sent the call. So a write with an unknown outcome may still take effect only
  /// for this time, with any delay.
  package static let callAgeMillisMax: UInt64 = 10_000

  /// The longest frame: a nearly full one, plus the longest message with its fields.
  package static func messageBytesMax(_ limits: Limits) -> Int {
    limits.maxMessageBytes + frameBytes + Limits.linkHeadroomBytes
  }
}

/// The two connections of a link. They share a generation, so that a newer link fences both.
@usableFromInline
package enum LinkLane: String, Sendable, CaseIterable {
  /// Small calls and their replies.
  case calls
  /// Large requests, large replies, streamed replies, slices of fan-outs with large replies.
  case bulk

  /// Compared for each call and frame; that of enums with raw values is generic, and calls the
  /// protocol's from other modules.
  @inlinable
  package static func == (one: LinkLane, other: LinkLane) -> Bool {
    switch (one, other) {
    case (.calls, .calls), (.bulk, .bulk): true
    case (.calls, .bulk), (.bulk, .calls): false
    }
  }
}

extension CallError {
  package static func requestTooLarge(_ bytes: Int, _ limits: Limits) -> CallError {
    CallError(
      code: .resourceExhausted,
      message: "The request has \(bytes) bytes; \(limits.maxMessageBytes) is the most.")
  }
}

// Digest: numbers computed from the contents of a cluster, to compare two clusters.

internal import NIOCore
internal import RingstoreAPI

/// The digest of the contents of a shard or a slot. Equal contents have equal digests; different
/// contents have different digests, except with a probability of 1 in 2^64. Digests can be added
/// up, modulo 2^64: a shard's is the sum of its slots', and a cluster's that of its shards', for
/// any number of shards.
public struct RingstoreDigest: Sendable, Hashable {
  /// Keys that have not expired.
  public internal(set) var keys: Int
  /// Those among them that expire.
  public internal(set) var expiringKeys: Int
  /// Of databases, keys, values and times of expiry.
  public internal(set) var digest: UInt64
  /// The same of the keys that don't expire.
  public internal(set) var lastingDigest: UInt64

  public init(keys: Int = 0, expiringKeys: Int = 0, digest: UInt64 = 0, lastingDigest: UInt64 = 0) {
    self.keys = keys
    self.expiringKeys = expiringKeys
    self.digest = digest
    self.lastingDigest = lastingDigest
  }

  public static func + (one: RingstoreDigest, other: RingstoreDigest) -> RingstoreDigest {
    RingstoreDigest(
      keys: one.keys &+ other.keys, expiringKeys: one.expiringKeys &+ other.expiringKeys,
      digest: one.digest &+ other.digest, lastingDigest: one.lastingDigest &+ other.lastingDigest)
  }
}

/// The digest of a shard.
public struct RingstoreShardDigest: Sendable, Hashable {
  /// The shard's id.
  public let shard: String
  public let whole: RingstoreDigest
  /// The number of slots in which keys changed during the walk: `whole` is without them.
  public let slotsChanged: Int
  /// Slots with keys by number, if requested; nil: the slot changed meanwhile.
  public let slots: [Int: RingstoreDigest?]
}

extension RingstoreClient {
  /// The digests of the shards' contents. The shards walk over all their keys for it, in turns with
  /// other calls: use a long timeout.
  ///
  /// - Parameters:
  ///   - slots: return each slot's digest as well.
  ///   - withVersions: versions count, too. Only copies of one log agree on those.
  public func digest(
    slots: Bool = false, withVersions: Bool = false, options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> RingstoreKeyReport<[RingstoreShardDigest]> {
    let rpc = V1.Cluster.digest
    let request = ByteBuffer.of {
      V1.DigestRequest(slots: slots, withVersions: withVersions).write(into: &$0)
    }
    return try await call(rpc, request, options) { response throws(WireError) in
      let reply = try V1.DigestResponse(response)
      return RingstoreKeyReport(
        found: reply.shards.map { RingstoreShardDigest($0) },
        unreachable: reply.unreachable.map { RingstoreError(CallError($0), of: rpc) })
    }
  }
}

extension RingstoreShardDigest {
  init(_ reply: V1.ShardDigest) {
    var slots: [Int: RingstoreDigest?] = [:]
    for slot in reply.slots {
      slots[Int(slot.slot)] = .some(
        slot.changed
          ? nil
          : RingstoreDigest(
            keys: Int(slot.keys), expiringKeys: Int(slot.expiringKeys), digest: slot.digest,
            lastingDigest: slot.lastingDigest))
    }
    self.init(
      shard: String(decoding: reply.shard, as: UTF8.self),
      whole: RingstoreDigest(
        keys: Int(reply.keys), expiringKeys: Int(reply.expiringKeys), digest: reply.digest,
        lastingDigest: reply.lastingDigest),
      slotsChanged: Int(reply.slotsChanged), slots: slots)
  }
}

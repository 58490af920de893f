// Reports for operators: the keys that calls look up most often, and the largest ones.

internal import NIOCore
internal import RingstoreAPI

/// A key that calls look up often, according to a sample of the look-ups.
public struct RingstoreHotKey: Sendable, Hashable {
  public let key: [UInt8]
  public let database: Int
  public let slot: Int
  /// The id of the shard that serves it.
  public let shard: String
  /// In the last minute or two, the last seconds most.
  public let callsPerSecond: Double
  /// Of all look-ups of its shard, from 0 to 1.
  public let share: Double
  /// How many samples that rests on: the relative error is about one over the root of it.
  public let samples: Double
}

/// A large key.
public struct RingstoreBigKey: Sendable, Hashable {
  public let key: [UInt8]
  public let database: Int
  public let type: RingstoreType
  /// Bytes of memory for the key and its value.
  public let bytes: Int
  /// Bytes of a string, values of a list.
  public let length: Int
  public let slot: Int
  /// The id of the shard that holds it.
  public let shard: String
}

/// The largest keys of a type, and the totals of all its keys.
public struct RingstoreBigKeys: Sendable, Hashable {
  public let type: RingstoreType
  /// How many keys of the type there are.
  public let keys: Int
  /// Their bytes of memory together.
  public let bytes: Int
  /// Those with the most memory, the largest one first.
  public let byBytes: [RingstoreBigKey]
  /// Those with the most values. Empty for strings.
  public let byLength: [RingstoreBigKey]
}

/// The reports of the shards that could be reached.
public struct RingstoreKeyReport<Found: Sendable>: Sendable {
  public let found: Found
  /// One for each shard that is missing, naming it and why.
  public let unreachable: [RingstoreError]
}

extension RingstoreClient {
  /// The keys that calls look up most often, the hottest one first, whether they are there or not.
  ///
  /// - Parameter count: how many at most; 0: 10. At most 100, and fewer if they are long.
  public func hotKeys(
    _ count: Int = 0, options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> RingstoreKeyReport<[RingstoreHotKey]> {
    let rpc = V1.Cluster.hotKeys
    let request = ByteBuffer.of {
      V1.HotKeysRequest(count: UInt32(clamping: count)).write(into: &$0)
    }
    return try await call(rpc, request, options) { response throws(WireError) in
      let reply = try V1.HotKeysResponse(response)
      return RingstoreKeyReport(
        found: reply.keys.map { RingstoreHotKey($0) },
        unreachable: reply.unreachable.map { RingstoreError(CallError($0), of: rpc) })
    }
  }

  /// The largest keys of each type. The shards walk over all their keys for it, in turns with other
  /// calls, as for a scan: use a long timeout.
  ///
  /// - Parameter count: how many for each ranking at most; 0: 10. There are 100 at most.
  public func bigKeys(
    _ count: Int = 0, _ scope: RingstoreScope = .database,
    options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> RingstoreKeyReport<[RingstoreBigKeys]> {
    let rpc = V1.Cluster.bigKeys
    let isAll = scope == .allDatabases
    let request = ByteBuffer.of {
      V1.BigKeysRequest(
        count: UInt32(clamping: count), database: isAll ? 0 : database(options),
        allDatabases: isAll
      ).write(into: &$0)
    }
    return try await call(rpc, request, options) { response throws(WireError) in
      let reply = try V1.BigKeysResponse(response)
      return RingstoreKeyReport(
        found: reply.types.map { RingstoreBigKeys($0) },
        unreachable: reply.unreachable.map { RingstoreError(CallError($0), of: rpc) })
    }
  }
}

extension RingstoreHotKey {
  init(_ reply: V1.HotKey) {
    self.init(
      key: Array(reply.key), database: Int(reply.database), slot: Int(reply.slot),
      shard: String(decoding: reply.shard, as: UTF8.self), callsPerSecond: reply.callsPerSecond,
      share: reply.share, samples: reply.samples)
  }
}

extension RingstoreBigKey {
  init(_ reply: V1.BigKey) {
    self.init(
      key: Array(reply.key), database: Int(reply.database), type: RingstoreType(reply.type),
      bytes: Int(reply.bytes), length: Int(reply.length), slot: Int(reply.slot),
      shard: String(decoding: reply.shard, as: UTF8.self))
  }
}

extension RingstoreBigKeys {
  init(_ reply: V1.BigKeysOfType) {
    self.init(
      type: RingstoreType(reply.type), keys: Int(reply.keys), bytes: Int(reply.bytes),
      byBytes: reply.byBytes.map { RingstoreBigKey($0) },
      byLength: reply.byLength.map { RingstoreBigKey($0) })
  }
}

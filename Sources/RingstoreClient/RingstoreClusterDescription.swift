// The nodes of a cluster and their state, the reply of Describe. Values; any thread.

internal import RingstoreAPI

/// The reply of a router about the whole cluster, or of a shard about itself.
public struct RingstoreClusterDescription: Sendable {
  public let cluster: String
  /// The version of the slot map; 0 if the node has none (a shard that no router has connected to).
  public let epoch: UInt64
  public let shards: [Shard]
  public let nodes: [Node]

  /// A shard as the slot map has it.
  public struct Shard: Sendable {
    public let id: String
    /// host:port.
    public let address: String
    /// Its share relative to the other shards.
    public let weight: Double
    /// How many of the 16384 slots it owns.
    public let slots: Int
    /// What the cluster has on record of its data; nil: nothing.
    public let lineage: Lineage?
  }

  /// Which data a shard has, as the cluster has it on record.
  public struct Lineage: Sendable, Hashable {
    /// Made with the data: 16 bytes; empty: none is known, or the shard is in memory only.
    public let id: [UInt8]
    /// How many losses of the shard's data were accepted.
    public let acceptedLosses: UInt64
    /// Two ids were recorded: no data is taken for the shard's until a loss is accepted.
    public let isDisputed: Bool
  }

  /// A process of the cluster.
  public struct Node: Sendable {
    public enum Role: String, Sendable { case router, shard, unknown }
    public enum State: String, Sendable {
      case loading, serving, draining, unreachable, unknown
      /// A router that serves no call on any key.
      case notServing = "not-serving"
    }

    public let id: String
    public let role: Role
    public let address: String
    public let state: State
    public let version: String
    public let uptime: Duration
    public let keys: Int
    public let memoryBytes: Int
    /// Of a shard: the limit of `memoryBytes`; nil: there is no limit, or it isn't known.
    public let memoryLimitBytes: Int?
    /// Why it is unreachable or not serving, or how far it has loaded; else empty.
    public let detail: String
    /// Of a shard: new at every start, so a different number means that the shard's memory was
    /// lost; a shard with a data directory has loaded its data again. 0 if it isn't known.
    public let incarnation: UInt64
    /// Of a shard: calls that failed since it started.
    public let errors: UInt64
    /// Of a shard: a histogram of call durations since it started, in buckets of microseconds
    /// (PROTOCOL.md, Describe). Empty buckets at the end are left out.
    public let durations: [UInt64]
  }
}

extension RingstoreClusterDescription {
  init(_ message: V1.DescribeResponse) {
    let map = message.map ?? V1.SlotMap()
    cluster = String(decoding: message.cluster, as: UTF8.self)
    epoch = map.epoch
    var slots = Array(repeating: 0, count: map.shards.count)
    for range in map.ranges where range.last >= range.first {
      let index = Int(range.shard)
      if slots.indices.contains(index) { slots[index] &+= Int(range.last - range.first) + 1 }
    }
    shards = zip(map.shards, slots).map { shard, slots in
      Shard(
        id: String(decoding: shard.id, as: UTF8.self),
        address: String(decoding: shard.address, as: UTF8.self), weight: shard.weight, slots: slots,
        lineage: shard.lineage.map { lineage in
          Lineage(
            id: Array(lineage.id), acceptedLosses: lineage.acceptedLosses,
            isDisputed: lineage.disputed)
        })
    }
    nodes = message.nodes.map(Node.init)
  }
}

extension RingstoreClusterDescription.Node {
  init(_ message: V1.Node) {
    id = String(decoding: message.id, as: UTF8.self)
    address = String(decoding: message.address, as: UTF8.self)
    version = String(decoding: message.version, as: UTF8.self)
    uptime = .milliseconds(message.uptimeMillis)
    keys = Int(message.keys)
    memoryBytes = Int(message.memoryBytes)
    memoryLimitBytes = message.memoryLimitBytes > 0 ? Int(message.memoryLimitBytes) : nil
    detail = String(decoding: message.detail, as: UTF8.self)
    incarnation = message.incarnation
    errors = message.errors
    // A newer node may have more buckets; further ones than these are no node's.
    durations = message.durations.prefix(128).map { $0 }
    role =
      switch message.role {
      case .router: .router
      case .shard: .shard
      default: .unknown
      }
    state =
      switch message.state {
      case .loading: .loading
      case .serving: .serving
      case .draining: .draining
      case .unreachable: .unreachable
      case .notServing: .notServing
      default: .unknown
      }
  }
}

extension RingstoreClient {
  /// Describes the cluster and the state of each node. Shards that can't be reached are
  /// listed with the reason; the call doesn't fail for them.
  public func describe(
    options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> RingstoreClusterDescription {
    try await call(V1.Cluster.describe, .init(), options) { response throws(WireError) in
      RingstoreClusterDescription(try V1.DescribeResponse(response))
    }
  }
}

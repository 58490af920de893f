// Describe: the cluster, its slot map, and each node's own line about itself. A shard that can't be
// reached is described all the same, with the reason.

import NIOCore
import RingstoreAPI

package struct DescribeMerge: ShardMerge {
  package let method = InternalMethod.describePart.rawValue
  package let allowsPartial = true
  private var response: Ringstore_V1_DescribeResponse
  private let shardAddresses: [String]
  private let shardIDs: [String]
  private var shards: [Int: Ringstore_V1_Node] = [:]

  /// - Parameters:
  ///   - cluster: the cluster's name.
  ///   - map: the slot map, where the node has one.
  ///   - router: the node's own line, for a router; a shard's comes as its part's answer.
  ///   - shardIDs: the shards to be asked, in the order of their parts.
  package init(
    cluster: String, map: Ringstore_V1_SlotMap?, router: Ringstore_V1_Node?, shardIDs: [String]
  ) {
    response = Ringstore_V1_DescribeResponse()
    response.cluster = cluster
    if let map { response.map = map }
    if let router { response.nodes = [router] }
    self.shardIDs = shardIDs
    shardAddresses = shardIDs.map { id in
      map?.shards.first { $0.id == id }?.address ?? ""
    }
  }

  package mutating func request(shard: Int) -> ByteBuffer { ByteBuffer() }

  package mutating func merge(
    _ response: UnsafeRawBufferPointer, shard: Int
  ) throws(CallError) -> Bool {
    guard var node = try? Ringstore_V1_Node(serializedBytes: Array(response)) else {
      throw .internalError("shard \(shardIDs[shard]) described itself in undecodable bytes")
    }
    // The address by which the cluster reaches the shard says more than the one it listens on.
    if !shardAddresses[shard].isEmpty { node.address = shardAddresses[shard] }
    shards[shard] = node
    return false
  }

  /// It tells of the cluster's state, whatever that is.
  package func doesWithout(_ error: CallError) -> Bool {
    error.code == .unavailable || error.reason == .mapConflict
  }

  package mutating func missing(_ error: CallError, shard: Int) {
    var node = Ringstore_V1_Node()
    node.id = shardIDs[shard]
    node.role = .shard
    node.address = shardAddresses[shard]
    node.state = .unreachable
    node.detail = error.message
    shards[shard] = node
  }

  package func answer() -> ByteBuffer {
    var complete = response
    complete.nodes += shardIDs.indices.compactMap { shards[$0] }
    // Serialising our own message fails only where a required field is missing; proto3 has none.
    return ByteBuffer(bytes: (try? complete.serializedBytes() as [UInt8]) ?? [])
  }
}

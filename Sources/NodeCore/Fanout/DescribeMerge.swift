// Describe: the cluster, its slot map, and each node's own line about itself. A shard that can't be
// reached is described anyway, with the reason.

import Commands
import NIOCore
import Placement
import RingstoreAPI

package struct DescribeMerge: FanoutReducer {
  package let part = InternalMethod.describePart
  package let allowsPartial = true
  package let tellsOfClusterState = true
  private let cluster: String
  private let map: SlotMap?
  private let lineages: LineageRecords
  private let encodedMap: EncodedSlotMap
  private let router: NodeDescription?
  private let shardAddresses: [String]
  private let shardIDs: [String]
  private var shards: [Int: NodeDescription] = [:]

  /// - Parameters:
  ///   - cluster: the cluster's name.
  ///   - map: the slot map, where the node has one.
  ///   - lineages: what is on record of the shards' data.
  ///   - encodedMap: the map as the last Describe wrote it.
  ///   - router: the node's own line, for a router; a shard's comes as its part's reply.
  ///   - shardIDs: the shards to be queried, in the order of their parts.
  package init(
    cluster: String, map: SlotMap?, _ lineages: LineageRecords = LineageRecords(),
    in encodedMap: EncodedSlotMap = EncodedSlotMap(), router: NodeDescription?, shardIDs: [String]
  ) {
    self.encodedMap = encodedMap
    self.cluster = cluster
    self.map = map
    self.lineages = lineages
    self.router = router
    self.shardIDs = shardIDs
    shardAddresses = shardIDs.map { id in
      map?.shards.first { $0.id == id }?.address ?? ""
    }
  }

  package mutating func request(shard: Int) -> ByteBuffer { ByteBuffer() }

  package mutating func merge(
    _ response: UnsafeRawBufferPointer, shard: Int
  ) throws(CallError) -> Bool {
    guard var node = (try? V1.Node(response)).map(NodeDescription.init) else {
      throw .internalError("shard \(shardIDs[shard]) described itself in undecodable bytes")
    }
    // The address in the cluster's map is more useful than the one that the shard listens on.
    if !shardAddresses[shard].isEmpty { node.address = shardAddresses[shard] }
    shards[shard] = node
    return false
  }

  package mutating func missing(_ error: CallError, shard: Int) {
    var node = NodeDescription(id: shardIDs[shard], role: .shard)
    node.address = shardAddresses[shard]
    node.state = .unreachable
    node.detail = error.message
    shards[shard] = node
  }

  package func reply() -> ByteBuffer {
    typealias Field = V1.DescribeResponse.Field
    var reply = ByteBuffer()
    reply.write(Field.cluster, cluster)
    if let map { encodedMap.write(map, lineages, into: &reply) }
    for node in [router].compactMap({ $0 }) + shardIDs.indices.compactMap({ shards[$0] }) {
      let line = reply.beginLengthDelimited(Field.nodes, sizeHint: 128)
      node.write(into: &reply)
      reply.endLengthDelimited(line)
    }
    return reply
  }
}

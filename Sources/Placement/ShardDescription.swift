// One shard as the configuration and the slot map's document name it.
//
// Owns nothing. A value; any thread.

package struct ShardDescription: Sendable, Hashable {
  /// What a router is called, in calls about a node and in reports. No shard may have it as its id:
  /// it could not be named then.
  package static let routerName = "router"

  /// The shard's name in the cluster: not empty, not `routerName`, unique, and kept over restarts
  /// and moves. Slots are assigned by it.
  package var id: String
  /// host:port where the shard listens now. Not used for placement.
  package var address: String
  /// Its share of the slots relative to the other shards: finite, above 0.
  package var weight: Double

  package init(id: String, address: String, weight: Double = 1) {
    self.id = id
    self.address = address
    self.weight = weight
  }

  /// Checks a whole list: its length, ids and weights. O(n).
  static func validate(_ shards: [ShardDescription]) throws(PlacementError) {
    guard !shards.isEmpty else { throw .noShards }
    guard shards.count <= SlotMap.shardCountMax else { throw .tooManyShards(count: shards.count) }
    var ids: Set<String> = []
    for (position, shard) in shards.enumerated() {
      guard !shard.id.isEmpty else { throw .emptyID(position: position) }
      guard shard.id != routerName else { throw .reservedID(shard.id) }
      guard ids.insert(shard.id).inserted else { throw .duplicateID(shard.id) }
      guard shard.weight.isFinite, shard.weight > 0 else {
        throw .badWeight(id: shard.id, weight: shard.weight)
      }
    }
  }

  /// Sorted by the bytes of the id: the order in which a person lists shards must not decide
  /// ownership, and byte order, unlike String's own, doesn't depend on a Unicode version.
  static func canonicalOrder(_ shards: [ShardDescription]) -> [ShardDescription] {
    shards.sorted { $0.id.utf8.lexicographicallyPrecedes($1.id.utf8) }
  }
}

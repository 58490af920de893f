// The records of the shards' data, and whether this shard's own data matches the cluster's record.
// If it doesn't, the shard serves no keys (DATA_LOST): the data is elsewhere, and an empty store
// would be mistaken for it. See docs/ARCHITECTURE.md, "Lineages".
//
// The core's event loop.

import Commands
import NodeCore
import Placement
import RingstoreAPI

extension ShardCore {
  /// Whether the shard's data matches the record of a router and of the shard itself. If it
  /// doesn't, the shard serves no keys until it does.
  func checkLineage(_ records: LineageRecords) throws(LinkRefusal) {
    var all = lineages
    all.merge(records)
    guard all.admits(id, lineage) else {
      // One that drains goes anyway.
      if state == .serving { state = .notServing }
      if state == .notServing { detail = Self.lostDetail }
      throw .dataLost
    }
    guard state == .notServing else { return }
    state = .serving
    detail = ""
  }

  /// Adopts or refuses a map that a router offers over a link that is open.
  func take(
    _ map: SlotMap, _ records: LineageRecords, inForceEpoch: UInt64, from peer: RouterSession
  ) throws(MapRefusal) {
    do throws(LinkRefusal) {
      try checkLineage(records)
    } catch {
      throw MapRefusal(error)
    }
    _ = try adopt(map, records, inForceEpoch: inForceEpoch, from: peer)
  }

  /// Merges a router's records of the shards of a map. Returns whether anything is new.
  func learn(_ records: LineageRecords, of map: SlotMap) -> Bool {
    var all = lineages
    all.merge(records)
    all = all.of(map.shards)
    guard all != lineages else { return false }
    lineages = all
    return true
  }

  static var lostDetail: String {
    "\(LinkRefusal.dataLost.rawValue): the cluster has recorded other data for this shard than it "
      + "has now. Start it with its own data_dir, or, if that is lost, accept the loss through a "
      + "router: `ringstore admin accept-loss` and its id"
  }
}

extension CallError {
  static func dataLost(_ shard: String) -> CallError {
    .shardUnavailable(shard, ShardCore.lostDetail)
  }
}

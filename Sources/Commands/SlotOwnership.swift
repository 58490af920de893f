// Which slots a shard may serve, and whose slot map it believes.
//
// A shard that no router has greeted yet serves every slot: it can be used alone. From the first
// accepted Hello on it holds that map and refuses keys of slots that the map gives to others. A
// router with another map is refused, never half-believed:
//
//   the map's epoch   content            the shard's answer
//   older             -                  STALE_MAP, with the shard's map
//   same              same               accepted
//   same              other              MAP_CONFLICT, unless the shard is free: no router is
//                                        connected, and it holds no keys
//   newer, or first   keeps what we hold accepted and adopted
//   newer, or first   gives away a slot  MAP_CONFLICT
//                     we hold keys of

import Placement
import RingstoreAPI

package struct SlotOwnership {
  package let cluster: String
  package let shard: String
  package private(set) var map: SlotMap?
  /// The slots that may be served.
  package private(set) var owned = SlotSet.all

  package init(cluster: String, shard: String) {
    self.cluster = cluster
    self.shard = shard
  }

  /// Whether keys of the slot may be served here.
  @inline(__always)
  package func owns(slot: Int) -> Bool {
    owned.contains(slot)
  }

  /// The id of the shard that a slot belongs to.
  package func owner(ofSlot slot: Int) -> String {
    guard let map else { return shard }
    return map.shards[map.owner(ofSlot: slot)].id
  }

  /// Whether a router's Hello means this shard of this cluster.
  package func checkMeant(cluster: String, expectedShard: String) throws(LinkRefusal) {
    guard cluster == self.cluster else { throw .wrongCluster }
    guard expectedShard == shard else { throw .wrongShard }
  }

  /// Takes or refuses the map of a router's Hello.
  ///
  /// - Parameters:
  ///   - isFree: whether no router is connected and no key held, so that nobody and nothing relies on
  ///     the map that the shard has.
  ///   - holdsKeys: whether the shard holds keys of a slot, in any database.
  /// - Returns: whether the map is new to the shard.
  package mutating func consider(
    cluster: String, expectedShard: String, map offered: SlotMap, isFree: () -> Bool = { false },
    holdsKeys: (Int) -> Bool
  ) throws(LinkRefusal) -> Bool {
    try checkMeant(cluster: cluster, expectedShard: expectedShard)
    guard let index = offered.shards.firstIndex(where: { $0.id == shard }) else {
      throw .wrongShard
    }
    if let map {
      guard offered.epoch >= map.epoch else { throw .staleMap }
      if offered.epoch == map.epoch {
        if offered.sameContent(as: map) { return false }
        guard isFree() else { throw .mapConflict }
      }
    }
    for slot in 0..<Slots.count where offered.owner(ofSlot: slot) != index && holdsKeys(slot) {
      throw .mapConflict
    }
    map = offered
    owned = offered.slots(ofShard: index)
    return true
  }
}

// Which slots a shard may serve, and which slot map it uses.
//
// A shard that has had no Hello from a router yet serves every slot: it can be used alone. From the
// first map that it adopts on it refuses keys of slots that are not its own. Maps arrive with a
// router's Hello or, over an open link, as an offer. A map is adopted or refused as a whole:
//
//   the map's epoch   content            the shard's reply
//   older             -                  STALE_MAP, with the shard's map
//   same              same               accepted
//   same              other              MAP_CONFLICT, unless the shard is free (no router is
//                                        connected, and it holds no keys), or the router knows this
//                                        map to be in force and ours is not
//   newer, or first   keeps what we hold accepted and adopted
//   newer, or first   gives away a slot  MAP_CONFLICT, saying what we hold
//                     we hold keys of
//   newer             doesn't list a     MAP_CONFLICT
//                     shard that may own
//                     slots by our map
//
// A slot that the shard loses by a map is not served from then on. A slot that it gains is served
// when a router reports that the map is in force: at some time all shards of the map held exactly
// this map, so that none serves the slot by an older one. A first map is not in force at once: a
// restarted shard may not have the map that it had adopted, and the first router to connect may not
// have it either.
//
// Who may own slots by our map: the shards to which it gives any; while it isn't in force, all
// shards that it lists, because those may still own slots by the previous map. A map that omitted
// one of them could come into force while that shard serves its slots. If a newer map is in force,
// ours no longer counts. It is enough that a router has reported that ours is in force: the shard
// may not serve by it yet.

import Placement
import RingstoreAPI

/// Why a shard doesn't adopt a map.
package struct MapRefusal: Error, Sendable, Hashable {
  package let reason: LinkRefusal
  /// The shard's keys that would move; empty if that isn't the reason.
  package let detail: String

  package init(_ reason: LinkRefusal, detail: String = "") {
    self.reason = reason
    self.detail = detail
  }
}

package struct SlotOwnership {
  package let cluster: String
  package let shard: String
  package private(set) var map: SlotMap?
  /// Whether `map` is in force, as far as the shard was notified.
  package private(set) var isInForce = true
  package private(set) var states = SlotStates.all
  /// Whether a router has reported that `map` is in force. The shard may not serve by it yet.
  private var isReported = false
  /// Slots that a refusal names.
  private static let namedSlotsMax = 5

  package init(cluster: String, shard: String) {
    self.cluster = cluster
    self.shard = shard
  }

  /// Whether keys of the slot may be served here.
  @inline(__always)
  package func owns(slot: Int) -> Bool {
    states.owned.contains(slot)
  }

  /// The refusal of a call on a key of a slot that isn't owned.
  package func refusal(ofSlot slot: Int) -> CallError {
    switch states[slot] {
    case .arriving: .slotMoves("its slot \(slot) is about to arrive at shard \(shard)")
    case .leaving: .slotMoves("its slot \(slot) is leaving shard \(shard)")
    case .owned, .elsewhere: .wrongShard(owner: map?.ownerID(ofSlot: slot))
    }
  }

  /// Whether a router's Hello means this shard of this cluster.
  package func checkMeant(cluster: String, expectedShard: String) throws(LinkRefusal) {
    guard cluster == self.cluster else { throw .wrongCluster }
    guard expectedShard == shard else { throw .wrongShard }
  }

  /// Whether a map could be adopted. Changes nothing.
  ///
  /// - Parameters:
  ///   - inForceEpoch: of the newest map that, according to the router, has come into force; 0: of
  ///     none.
  ///   - isFree: whether no router is connected and there are no keys, so that nothing depends on
  ///     the shard's map.
  ///   - keyCount: how many keys the shard holds of a slot, in all databases.
  /// - Returns: whether the map is new to the shard.
  package func check(
    _ offered: SlotMap, inForceEpoch: UInt64 = 0, isFree: () -> Bool = { false },
    keyCount: (Int) -> Int
  ) throws(MapRefusal) -> Bool {
    guard let place = offered.place(of: shard) else { throw MapRefusal(.wrongShard) }
    if let map {
      guard offered.epoch >= map.epoch else { throw MapRefusal(.staleMap) }
      if offered.epoch == map.epoch {
        if offered.sameContent(as: map) { return false }
        let givesWay = !isInForce && inForceEpoch == map.epoch
        guard givesWay || isFree() else { throw MapRefusal(.mapConflict) }
      } else {
        let owners = mayOwn(by: map, inForceEpoch: inForceEpoch)
        guard owners.allSatisfy({ offered.place(of: $0.id) != nil }) else {
          throw MapRefusal(.mapConflict)
        }
      }
    }
    let held = (0..<Slots.count).filter { offered.owner(ofSlot: $0) != place && keyCount($0) > 0 }
    guard held.isEmpty else {
      throw MapRefusal(.mapConflict, detail: detail(of: held, in: offered, keyCount))
    }
    return true
  }

  /// The shards that may own slots, according to this shard's map.
  private func mayOwn(by map: SlotMap, inForceEpoch: UInt64) -> [ShardDescription] {
    if inForceEpoch > map.epoch { return [] }
    guard isInForce || isReported || inForceEpoch == map.epoch else { return map.shards }
    return zip(map.shards, map.slotCounts).filter { $0.1 > 0 }.map(\.0)
  }

  /// Adopts or refuses a map. Parameters and result as of `check`.
  package mutating func adopt(
    _ offered: SlotMap, inForceEpoch: UInt64 = 0, isFree: () -> Bool = { false },
    keyCount: (Int) -> Int
  ) throws(MapRefusal) -> Bool {
    let isNew = try check(offered, inForceEpoch: inForceEpoch, isFree: isFree, keyCount: keyCount)
    if isNew, let place = offered.place(of: shard) {
      // A shard without a map, or one that adopts another of the same epoch, owns nothing that
      // others rely on.
      if map == nil || map?.epoch == offered.epoch { states = .none }
      map = offered
      isInForce = false
      isReported = false
      states.adopt { offered.owner(ofSlot: $0) == place }
    }
    return isNew
  }

  /// The map that the shard had adopted before it was restarted. It serves none of its slots until
  /// a router reports that the map is in force.
  package mutating func restore(_ restored: SlotMap) {
    guard let place = restored.place(of: shard) else { return }
    states = .none
    map = restored
    isInForce = false
    isReported = false
    states.adopt { restored.owner(ofSlot: $0) == place }
  }

  /// Whether it is news, and about the map that the shard has, that a map is in force.
  package func canComeIntoForce(_ other: SlotMap) -> Bool {
    guard let map else { return false }
    return map.epoch == other.epoch && map.sameContent(as: other) && !isInForce
  }

  /// A router has reported that a map is in force.
  package mutating func heardInForce(_ other: SlotMap) {
    if canComeIntoForce(other) { isReported = true }
  }

  /// A map is in force. Returns whether that is new to the shard, and about the map that it has.
  package mutating func comeIntoForce(_ other: SlotMap) -> Bool {
    guard canComeIntoForce(other) else { return false }
    isInForce = true
    states.comeIntoForce()
    return true
  }

  /// "it holds 12 keys of 3 slots that would move to shard d: 17, 200, 301"
  private func detail(of held: [Int], in offered: SlotMap, _ keyCount: (Int) -> Int) -> String {
    let keys = held.reduce(0) { $0 + keyCount($1) }
    let takers = Set(held.map(offered.ownerID(ofSlot:))).sorted().joined(separator: ", ")
    let named = held.prefix(Self.namedSlotsMax).map(String.init).joined(separator: ", ")
    return
      "it holds \(Self.counted(keys, "key")) of \(Self.counted(held.count, "slot")) that would "
      + "move to \(takers): \(named)\(held.count > Self.namedSlotsMax ? ", ..." : "")"
  }

  private static func counted(_ count: Int, _ what: String) -> String {
    "\(count) \(what)\(count == 1 ? "" : "s")"
  }
}

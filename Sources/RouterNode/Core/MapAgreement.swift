// Which slot map a router's loop goes by, and whether the shards agree.
//
//   in force --a newer map comes--> pending --every shard has adopted it--> in force
//                                     |  ^
//                                     +--+ a shard refuses it: the owners before, one epoch later
//   in force --a shard refuses it--> doubted --all shards accept it--> in force
//
// A newer map comes from this router's own change of its list, or from a shard that has adopted it
// from another router. In both cases each router sees to it by itself that every shard of the map
// adopts it; so a change is completed whichever router is lost meanwhile. Epochs only rise: a pending
// map that a shard refuses, because it holds keys that would move or another router's change has come
// first, is taken back by a further map with the owners that are in force. All routers that take it
// back make the same one.
//
// A map that is in force and is refused all the same means that shards obey different maps, as when
// routers were started with different lists. Then nothing is served; see RouterCore+Conflict.
//
// Pure; part of a router's core.

import NodeCore
import Placement
import RingstoreAPI

struct MapAgreement {
  /// What an event has led to.
  enum Change: Equatable {
    case none
    /// `pending` is another map now.
    case pending
    /// `current` is another map, or the pending one is not pending any more.
    case inForce
    /// Nothing may be served.
    case doubted
  }

  /// The map that calls are placed by.
  private(set) var current: SlotMap
  /// A newer map that not every shard has adopted yet.
  private(set) var pending: SlotMap?
  /// Whether a shard has refused the map in force, and not all have accepted it since.
  private(set) var isDoubted = false
  /// The shards that refused it.
  private(set) var refusers: Set<String> = []
  /// Shards that have adopted the pending map.
  private var adopters: Set<String> = []
  /// Whether any shard has ever accepted `current`; until then it is no more than a list of settings.
  private var isKnown = false
  private var timesTakenBack = 0
  /// How often in a row a change is taken back before the router gives up and serves nothing.
  static let timesTakenBackMax = 4

  init(_ map: SlotMap) {
    current = map
  }

  /// What shards are to adopt.
  var offered: SlotMap { pending ?? current }
  var isInForce: Bool { pending == nil }

  /// A map has come from a shard, or by a change of this router's list.
  mutating func learn(_ map: SlotMap, isInForce: Bool) -> Change {
    if map.epoch == offered.epoch, map.sameContent(as: offered) {
      return isInForce ? comeIntoForce() : .none
    }
    guard map.epoch > offered.epoch || map.epoch == pending?.epoch && isInForce else {
      return .none
    }
    guard isInForce else {
      pending = map
      adopters = []
      refusers = []
      return .pending
    }
    pending = map
    return comeIntoForce()
  }

  /// A shard says that the map of this epoch is in force.
  mutating func learnInForce(epoch: UInt64) -> Change {
    pending?.epoch == epoch ? comeIntoForce() : .none
  }

  /// A shard has adopted the map of this epoch.
  mutating func accepted(by shard: String, epoch: UInt64, isInForce: Bool) -> Change {
    guard let pending else {
      if epoch == current.epoch { isKnown = true }
      return .none
    }
    guard epoch == pending.epoch else { return .none }
    adopters.insert(shard)
    let isAdopted = pending.shards.allSatisfy { adopters.contains($0.id) }
    return isAdopted || isInForce ? comeIntoForce() : .none
  }

  /// A shard doesn't take the map that was offered.
  ///
  /// - Parameter theirs: the shard's own map, and whether that is in force.
  mutating func refused(
    by shard: String, _ reason: LinkRefusal, theirs: (map: SlotMap, isInForce: Bool)?
  ) -> Change {
    if let theirs, theirs.map.epoch >= offered.epoch {
      let change = learn(theirs.map, isInForce: theirs.isInForce)
      // Another shard may have told of it just before.
      if change != .none || theirs.map.sameContent(as: offered) { return change }
    }
    guard let pending else { return doubt(shard) }
    let before = isKnown ? current : theirs?.map
    guard timesTakenBack < Self.timesTakenBackMax, let before, before.epoch < pending.epoch,
      let restored = before.restored(after: pending)
    else { return doubt(shard) }
    timesTakenBack += 1
    return learn(restored, isInForce: false)
  }

  /// A shard that refused the map in force has accepted it.
  mutating func stopsRefusing(_ shard: String) {
    refusers.remove(shard)
  }

  /// All shards have accepted the map in force at one time.
  mutating func agreed() {
    isDoubted = false
  }

  private mutating func doubt(_ shard: String) -> Change {
    refusers.insert(shard)
    isDoubted = true
    return .doubted
  }

  private mutating func comeIntoForce() -> Change {
    guard let pending else { return .none }
    current = pending
    self.pending = nil
    adopters = []
    refusers = []
    isDoubted = false
    isKnown = true
    timesTakenBack = 0
    return .inForce
  }
}

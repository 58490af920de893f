// Which slot map a router's loop goes by, and whether the shards agree.
//
//   pending --all shards hold it at one moment, or one says that it is in force--> in force
//    ^   |                                                                          |    |
//    |   +--a shard refuses it: the owners before, one epoch later--> pending       |    |
//    +------a newer map comes-------------------------------------------------------+    |
//    +------a shard refuses it: doubted, and pending again-------------------------------+
//
// A router begins with the map of its list as a pending one: other routers may have another list. A
// newer map comes from this router's own change of its list, or from a shard that has adopted it
// from another router. Each router offers it to every shard of the map until all have adopted it;
// so a change is completed whichever router is lost meanwhile. Epochs only increase: if a shard
// refuses a pending map, because it holds keys that would move or another router's change came
// first, the map is rolled back with a further map that has the owners in force. It also lists the
// shards of the rolled back maps: they may own slots without this router's knowledge. When it is in
// force they own none, and a last map removes them.
//
// A map that is in force and is refused anyway, or that of this router's list, means that shards
// use different maps, as when routers were started with different lists. Then nothing is served
// until all shards hold the router's map; see RouterCore+Conflict.
//
// Rounds find out that all hold it at one moment (MapRounds). Pure; part of a router's core.

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
  /// The map that should come into force, and isn't known to be in force.
  private(set) var pending: SlotMap?
  /// Whether a shard has refused the map in force, and not all have accepted it since.
  private(set) var isDoubted = false
  /// The shards that refused it.
  private(set) var refusers: Set<String> = []
  /// Whether `current` has been in force; until then it is no more than a list of settings.
  private(set) var isKnown = false
  private var rounds = MapRounds()
  private var informed: Set<String> = []
  /// A map that this router has made to roll back others.
  private var restored: SlotMap?
  /// Shards that it lists only to roll back a change.
  private var rollbackShards: Set<String> = []
  private var rollbacks = 0
  /// Until when changes that shards refuse are not rolled back; nil: they are.
  private(set) var pauseEndNanos: UInt64?
  /// How often in a row a change is rolled back before the router pauses: another router may be
  /// making one.
  static let rollbacksMax = 4
  /// The greatest upper bound of versions that shards have reported, for shards that get slots of
  /// others.
  private(set) var versionsBelow: UInt64 = 0

  init(_ map: SlotMap) {
    current = map
    pending = map
  }

  /// The map that shards must adopt.
  var offered: SlotMap { pending ?? current }
  var isInForce: Bool { pending == nil }
  /// The epoch of the newest map that is known to have come into force; 0: none.
  var inForceEpoch: UInt64 { isKnown ? current.epoch : 0 }
  /// The data of an offer of the map.
  var round: UInt64 { rounds.number }
  /// Whether a change waits for another router to finish, or for a pause to end.
  var isPaused: Bool { rollbacks >= Self.rollbacksMax }
  /// Whether the map that is offered is doubted, and not a newer one pending.
  private var isOfferedDoubted: Bool { isDoubted && offered.epoch == current.epoch }

  // MARK: - Maps

  /// A map has arrived from a shard, or from a change of this router's list.
  mutating func learn(_ map: SlotMap, isInForce: Bool) -> Change {
    if isOffered(map) { return isInForce ? comeIntoForceIfTrusted() : .none }
    if isInForce, map.epoch < offered.epoch, map.epoch > inForceEpoch {
      // A step to the one that is pending.
      current = map
      isKnown = true
      return .pending
    }
    let isChange = pending != nil && offered.epoch > current.epoch
    guard map.epoch > offered.epoch || map.epoch == offered.epoch && isInForce && isChange else {
      return .none
    }
    pending = map
    refusers = []
    rounds.restart()
    return isInForce ? comeIntoForce() : .pending
  }

  private func isOffered(_ map: SlotMap) -> Bool {
    map.epoch == offered.epoch && map.sameContent(as: offered)
  }

  /// A shard refuses the offered map.
  ///
  /// - Parameter theirs: the shard's own map, and whether that is in force.
  mutating func refused(
    by shard: String, theirs: (map: SlotMap, isInForce: Bool)?
  ) -> Change {
    rounds.lost(shard)
    var change = Change.none
    if let theirs {
      let first = rounds.first
      change = learn(theirs.map, isInForce: theirs.isInForce)
      // Another shard may have sent it just before.
      if rounds.first != first || isOffered(theirs.map) { return change }
    }
    guard let pending, pending.epoch > current.epoch else { return doubt(shard) }
    guard !isPaused else { return change }
    rollbacks += 1
    return rollBack(pending, theirs?.map)
  }

  /// Whether a refusal of the offered map has been overtaken: the map has come into force, so the
  /// shard has held it, and over one link a shard's epochs only increase. (A restarted shard, which
  /// may have lost it, refuses a Hello.)
  func isOvertaken(theirs: SlotMap?, isInForce theirsIsInForce: Bool) -> Bool {
    guard isInForce, isKnown, !isDoubted, let theirs, !theirsIsInForce else { return false }
    return theirs.epoch < current.epoch
  }

  private mutating func rollBack(_ pending: SlotMap, _ theirs: SlotMap?) -> Change {
    // A router without a map in force uses the shard's.
    let isOlder = theirs.map { $0.epoch < pending.epoch } ?? false
    let before = isKnown ? current : isOlder ? theirs ?? pending : pending
    let others = [pending, theirs].compactMap(\.self)
    guard let restored = before.restored(after: pending, listing: others) else { return .none }
    rollbackShards.formUnion(restored.shards.map(\.id).filter { before.place(of: $0) == nil })
    self.restored = restored
    return learn(restored, isInForce: false)
  }

  /// Begins a pause after too many rollbacks.
  mutating func pauseIfNeeded(untilNanos: UInt64) {
    if isPaused, pauseEndNanos == nil { pauseEndNanos = untilNanos }
  }

  /// The pause is over.
  mutating func resume() {
    rollbacks = 0
    pauseEndNanos = nil
  }

  /// The map that removes the shards that are listed only because of a rollback.
  mutating func takeFollowUp() -> SlotMap? {
    guard isInForce, !rollbackShards.isEmpty else { return nil }
    guard let restored, isOffered(restored) else {
      rollbackShards = []
      return nil
    }
    return current.dropping(rollbackShards)
  }

  // MARK: - Shards

  /// A shard has adopted the offered map, or has confirmed that it holds it.
  mutating func holds(_ shard: String, isInForce: Bool) -> Change {
    guard offered.place(of: shard) != nil else { return .none }
    rounds.holds(shard, isServing: isInForce)
    return isInForce ? comeIntoForceIfTrusted() : .none
  }

  /// A shard has accepted the map of an offer.
  mutating func accepted(by shard: String, round: UInt64, isInForce: Bool) -> Change {
    guard isAboutOffered(round) else { return .none }
    let change = holds(shard, isInForce: isInForce)
    rounds.confirmed(shard, round, isInForce: isInForce)
    let isInForce = rounds.isHeldByAll(of: offered) || rounds.isConfirmed && !isOfferedDoubted
    guard isInForce else { return change }
    informed.formUnion(rounds.end())
    return change == .none ? comeIntoForce() : change
  }

  /// A shard has reported an upper bound of its versions.
  mutating func heard(versionsBelow: UInt64) {
    self.versionsBelow = max(self.versionsBelow, versionsBelow)
  }

  /// Whether a round was about the map that is offered now.
  func isAboutOffered(_ round: UInt64) -> Bool { round >= rounds.first }

  func isHeld(by shard: String) -> Bool { rounds.holders.contains(shard) }

  /// Whether a shard is known to serve with the offered map.
  func isServed(by shard: String) -> Bool { rounds.serving.contains(shard) }

  /// A shard's link is lost, or the shard is stopping.
  mutating func lost(_ shard: String) {
    rounds.lost(shard)
    informed.remove(shard)
  }

  /// The shards that must be queried whether they still hold the map.
  mutating func nextQueried() -> Set<String> {
    rounds.next(of: offered, isInForce: isInForce, trustsReports: !isOfferedDoubted)
  }

  /// The shards that must be informed that the map is in force.
  mutating func nextInformed() -> Set<String> {
    defer { informed = [] }
    return informed
  }

  /// A shard that refused the map has accepted it.
  mutating func stopsRefusing(_ shard: String) {
    refusers.remove(shard)
  }

  private mutating func doubt(_ shard: String) -> Change {
    refusers.insert(shard)
    isDoubted = true
    pending = current
    rounds.restart()
    return .doubted
  }

  /// A shard reports that the offered map is in force: so all shards have held it at one moment.
  private mutating func comeIntoForceIfTrusted() -> Change {
    isOfferedDoubted ? .none : comeIntoForce()
  }

  private mutating func comeIntoForce() -> Change {
    guard let pending else { return .none }
    current = pending
    self.pending = nil
    refusers = []
    isDoubted = false
    isKnown = true
    rollbacks = 0
    return .inForce
  }
}

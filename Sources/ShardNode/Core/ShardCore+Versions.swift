// The versions of slots that a shard takes over. Their keys have had others elsewhere, and no key
// has one version twice: so the shard counts on from above all that other shards may have given.
//
// It learns of them with the word that a map is in force. Each shard tells routers below what its
// versions lie, in every reply by which it accepts a map: it has let go of slots by then, and gives
// no more versions there. A router tells the greatest number that it was told. It says that a map
// is in force only when all shards of the map have told it that they hold it, or one that it is in
// force, which has the number from then. So clocks need not agree.
//
// The ceiling above these versions is synced before the first is given: else a power loss could
// have the shard count from below them, by its clock.

import Commands
import NodeCore
import Placement
import RingstoreAPI
import Store

/// A map that a router says is in force.
struct ComingIntoForce {
  let map: SlotMap
  /// What the slots count on from that the shard gains.
  let versions: UInt64
  /// Who said so.
  let peer: RouterSession
}

extension ShardCore {
  /// Below it lie all versions that this shard has given, and those that it knows others to have.
  /// O(slots) in a shard without a log.
  var versionsBelow: UInt64 {
    max(log?.versionsBelow ?? store.versionMax + 1, versionsHeard)
  }

  /// A router says that a map is in force.
  ///
  /// - Parameter versionsBelow: what shards have told it; 0: nothing.
  func comeIntoForce(_ map: SlotMap, versionsBelow: UInt64, from peer: RouterSession) {
    guard ownership.canComeIntoForce(map) else { return }
    let now = wall.millis(atNanos: clock())
    versionsHeard = max(versionsHeard, min(versionsBelow, VersionCeiling.foreignMax(now)))
    let lead = versionsHeard == 0 ? VersionCeiling.newOwnerLeadMillis : 0
    let versions = max(versionsHeard, Store.versionsBegin(unixMillis: now + lead))
    let coming = ComingIntoForce(map: map, versions: versions, peer: peer)
    if log?.reserves(versions) == false { self.coming = coming } else { takeOver(coming) }
  }

  /// Serves what a map gives, unless another one has been adopted since.
  func takeOver(_ coming: ComingIntoForce) {
    let before = ownership.states.owned
    guard keyspace.ownership.comeIntoForce(coming.map) else { return }
    for slot in 0..<Slots.count where ownership.owns(slot: slot) && !before.contains(slot) {
      store.raiseVersions(ofSlot: slot, to: coming.versions)
    }
    tellNews(of: coming.map, but: coming.peer)
  }

  /// Tells all routers but one of a map that was adopted, or has come into force.
  func tellNews(of map: SlotMap, but peer: RouterSession?) {
    let (isInForce, versionsBelow) = (ownership.isInForce, versionsBelow)
    peers.tell(but: peer) {
      $0.writeNews(of: map, lineages, isInForce: isInForce, versionsBelow: versionsBelow)
    }
  }
}

// The versions of slots that a shard gains. Their keys already have versions from other shards. To
// keep versions unique, the shard continues above all versions that any shard has assigned.
//
// Each shard reports an upper bound of its versions with every map that it accepts; by then it no
// longer serves the slots that it loses, and assigns no versions there. The router sends the
// greatest bound with IN_FORCE. It sends IN_FORCE only when all shards of the map have confirmed
// it, or when one shard, which has the bound of that time, reports that it is in force. So clocks
// need not agree.
//
// The ceiling above these versions is synced before the first one is assigned. Otherwise, after a
// power loss, the shard could start below them, by its clock.

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
  /// Who said so: routers that send calls on these slots.
  let peers: [RouterSession]

  func wasReported(by peer: RouterSession) -> Bool { peers.contains { $0 === peer } }
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
    // Others may have said so while the ceiling is not durable, and rely on it as well.
    let others = self.coming?.peers.filter { $0 !== peer } ?? []
    let coming = ComingIntoForce(map: map, versions: versions, peers: others + [peer])
    if log?.reserves(versions) == false {
      self.coming = coming
      // A newer map may be offered before that is durable, by a router that hasn't heard.
      keyspace.ownership.heardInForce(map)
    } else {
      takeOver(coming)
    }
  }

  /// Serves what a map gives, unless another one has been adopted since.
  func takeOver(_ coming: ComingIntoForce) {
    let before = ownership.states.owned
    guard keyspace.ownership.comeIntoForce(coming.map) else { return }
    for slot in 0..<Slots.count where ownership.owns(slot: slot) && !before.contains(slot) {
      store.raiseVersions(ofSlot: slot, to: coming.versions)
    }
    tellNews(of: coming.map, but: coming.peers.last)
  }

  /// Tells all routers but one of a map that was adopted, or has come into force.
  func tellNews(of map: SlotMap, but peer: RouterSession?) {
    let (isInForce, versionsBelow) = (ownership.isInForce, versionsBelow)
    peers.tell(but: peer) {
      $0.writeNews(of: map, lineages, isInForce: isInForce, versionsBelow: versionsBelow)
    }
  }
}

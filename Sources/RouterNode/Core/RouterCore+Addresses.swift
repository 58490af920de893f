// Shards that get other addresses while calls are in progress (LinkAddress): new calls wait, and
// when those in progress have ended, or their time is over, the link is closed and dialed at the
// new address. Calls that are left then end as if the link were lost, see docs/CONSISTENCY.md.

import NodeCore
import Placement

extension RouterCore {
  /// The list of this router says that shards have other addresses.
  package func readdress(_ list: [ShardDescription]) {
    for shard in list {
      links.list(shard)
      guard let place = links.place(of: shard.id), links[place].address != shard.address else {
        continue
      }
      links[place].readdress(to: shard.address)
      links[place].state.attemptNow(nowNanos: nowNanos)
    }
    followAddresses()
    finishEvent()
  }

  /// Begins to move links that lead elsewhere than to their shards' addresses. Does nothing about
  /// others, so it may be called at any time.
  func followAddresses() {
    for place in links.indices where links[place].isMember { followAddress(place) }
  }

  func followAddress(_ shard: Int) {
    switch links[shard].addressStep {
    case .nothing: break
    case .close:
      if links[shard].isMoving { break }
      links[shard].wait(untilNanos: nowNanos + linkLimits.moveNanosMax)
      care.begin()
    case .redial: move(shard, "its address has changed")
    case .resume: resume(shard)
    }
  }

  /// Calls in progress, or a shard that doesn't serve yet, have taken too long.
  func moveOverdue(_ shard: Int) {
    guard links[shard].overdueStep == .redial else { return resume(shard) }
    let reason = "its address has changed, and calls in progress have not ended in time"
    driver.note(.linkLost(shard: links[shard].shardID, reason: reason))
    move(shard, reason)
  }

  /// Closes a link and dials it at its shard's address. Calls on a link that was ready wait.
  private func move(_ shard: Int, _ reason: String) {
    if links[shard].state.isReady || links[shard].isMoving {
      links[shard].wait(untilNanos: nowNanos + linkLimits.moveNanosMax)
      care.begin()
    }
    driver.disconnect(shard: shard, generation: links[shard].state.generation)
    links[shard].state.lost(reason, nowNanos: nowNanos)
    let lost = removeCalls(of: shard, keepsWaiting: true)
    connect(shard)
    fail(lost)
  }

  /// The shard serves over a link that was opened at another address, or to a new shard: calls that
  /// waited may go.
  func resume(_ shard: Int) {
    links[shard].endMoving()
    updateCare()
    for lane in LinkLane.allCases { admitWaiting(shard, lane) }
  }
}

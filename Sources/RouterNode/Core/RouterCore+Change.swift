// This router's own change of the list of shards, see MapChange.

import NodeCore
import Placement
import RingstoreAPI

extension RouterCore {
  /// Changes the cluster to another list of shards, or finds out what that would change. Calls the
  /// closure once with the result, perhaps before this returns.
  package func change(
    to list: [ShardDescription], isPlan: Bool, end: @escaping MapChangeEnd
  ) {
    guard change == nil else { return end(.failure(.init("another change is in progress"))) }
    if let reason = mapConflict?.message
      ?? (agreement.isInForce ? nil : notInForceReason ?? pendingReason)
    {
      return end(.failure(.init(reason)))
    }
    let steps: [SlotMap]
    do throws(PlacementError) {
      steps = try map.steps(to: list)
    } catch {
      return end(.failure(.init(error.description)))
    }
    let report = report(of: steps, list)
    guard let first = steps.first else {
      if !isPlan { readdress(list) }
      return end(.success(report))
    }
    change = MapChange(
      to: list, by: steps, report, isPlan: isPlan,
      dueNanos: nowNanos + linkLimits.changeNanosMax, end: end)
    check(first)
    finishEvent()
  }

  private var pendingReason: String {
    "a change of the slot map is in progress" + (missingOfOffered.map { ": \($0)" } ?? "")
  }

  private func report(of steps: [SlotMap], _ list: [ShardDescription]) -> MapChangeReport {
    let last = steps.last ?? map
    var report = MapChangeReport(epoch: last.epoch)
    report.added = last.shards.map(\.id).filter { map.place(of: $0) == nil }
    report.dropped = map.shards.map(\.id).filter { last.place(of: $0) == nil }
    report.readdressed = list.filter { shard in
      map.place(of: shard.id) != nil && links.listedAddresses[shard.id] != shard.address
    }.map(\.id).sorted()
    report.moves = map.movesByShards(to: last)
    return report
  }

  // MARK: - Checking

  private func check(_ next: SlotMap) {
    let moved = map.slotsMoved(to: next)
    let losers = links.members.filter { place in
      let own = map.place(of: links[place].shardID)
      return (0..<Slots.count).contains { moved.contains($0) && map.owner(ofSlot: $0) == own }
    }
    // All of them have to adopt the map, so none may be away.
    if let away = links.members.first(where: { !links[$0].state.isReady }) {
      return endChange(
        "shard \(links[away].shardID) can't be reached, and a change needs every shard: "
          + links[away].state.detail)
    }
    change?.ask(Set(losers.map { links[$0].shardID }))
    for place in losers { offer(.check, next, to: place) }
    checked()
  }

  func changeChecked(
    _ shard: Int, epoch: UInt64, isAccepted: Bool, _ refusal: LinkRefusal?, _ detail: String
  ) {
    guard change?.asks(about: epoch) == true else { return }
    guard isAccepted else {
      return endChange(sentence(shard, refusal ?? .mapConflict, detail))
    }
    change?.agreed(links[shard].shardID)
    checked()
  }

  private func checked() {
    guard let change, change.isChecked, let next = change.next else { return }
    if change.isPlan { return endChange(nil) }
    let newcomers = next.shards.filter { map.place(of: $0.id) == nil }
    self.change?.dial(Set(newcomers.map(\.id)))
    for shard in newcomers {
      links.list(shard)
      // A link that is left from before the shard was dropped sends no Hello with this map.
      if let place = links.place(of: shard.id), links[place].state.isOpen { retire(place) }
      let place = links.join(shard)
      links[place].readdress(to: shard.address)
      links[place].state.attemptNow(nowNanos: nowNanos)
      if links[place].state.attemptAtNanos != nil { connect(place) }
    }
    followAddresses()
    reachedAll()
  }

  // MARK: - Newcomers

  func changeReached(_ shard: Int) {
    change?.reached(links[shard].shardID)
    reachedAll()
  }

  /// A link was lost, or could not be made.
  func changeLost(_ shard: Int, _ reason: String) {
    let id = links[shard].shardID
    switch change?.awaits(id) {
    case .reply: endChange("shard \(id) was lost before it could report its keys: \(reason)")
    case .link: endChange("shard \(id) can't be reached at \(links[shard].address): \(reason)")
    case nil: break
    }
  }

  private func reachedAll() {
    guard let change, change.hasReachedAll, let next = self.change?.adopt() else { return }
    let moving = change.list.filter { map.place(of: $0.id) != nil }
    propose(next)
    readdress(moving)
  }

  // MARK: - Adopting

  /// A shard has not adopted a map that others may have.
  func changeRefused(_ shard: Int, _ reason: LinkRefusal, _ detail: String, epoch: UInt64) {
    change?.refused(sentence(shard, reason, detail), epoch: epoch)
  }

  /// A map has come into force.
  func changeInForce() {
    switch change?.cameIntoForce(map) {
    case .nothing, nil: break
    case .overtaken:
      endChange(change?.refusal ?? "another router has changed the slot map meanwhile")
    case .propose(let next): propose(next)
    case .complete: endChange(nil)
    }
  }

  func changeOverdue() {
    if change?.isAdopting == true {
      endChange(
        "not every shard has adopted the new slot map yet; the change continues, and is complete "
          + "when they have")
    } else {
      endChange("not every shard has replied in time")
    }
  }

  /// - Parameter refusal: nil if the change is complete, or a plan was made.
  private func endChange(_ refusal: String?) {
    guard let change else { return }
    self.change = nil
    if !change.isAdopting { forgetNewcomers() }
    guard let refusal else { return change.end(.success(change.report)) }
    if change.isPlan {
      var report = change.report
      report.obstacle = refusal
      change.end(.success(report))
    } else {
      change.end(.failure(MapChangeRefusal(refusal)))
    }
  }

  private func forgetNewcomers() {
    for place in links.indices
    where links[place].isMember && agreement.offered.place(of: links[place].shardID) == nil {
      links[place].leave()
      retire(place)
      links[place].endMoving()
    }
    updateCare()
  }

  private func sentence(_ shard: Int, _ reason: LinkRefusal, _ detail: String) -> String {
    let id = links[shard].shardID
    switch reason {
    case .mapConflict where !detail.isEmpty: return "shard \(id) refuses: \(detail)"
    case .mapConflict: return "shard \(id) has adopted another change at the same time"
    case .staleMap: return "shard \(id) has a newer slot map already"
    default: return "shard \(id) refuses: \(reason.sentence(address: links[shard].address))"
    }
  }
}

extension MapChangeRefusal {
  init(_ sentence: String) {
    self.init(sentence: sentence)
  }
}

// Routers whose lists of shards change, at random and all at once: shards are dropped and come
// back, weights and addresses change. Few changes are made, because keys would move by most of
// them; and what is found out then counts as much as what is done. No slot may be owned by two
// shards at any moment.
//
// Owns its plan. One thread.

import Placement
import RouterNode

final class SimulatedMapChanges {
  private static let intervalNanosMax: UInt64 = 60_000_000
  private static let lookNanosMax: UInt64 = 5_000_000

  private let context: SimulationContext
  private unowned let cluster: SimulatedCluster
  private let endNanos: UInt64

  init(context: SimulationContext, cluster: SimulatedCluster, endNanos: UInt64) {
    self.context = context
    self.cluster = cluster
    self.endNanos = endNanos
  }

  func start() {
    planNext()
    planLook()
  }

  private func planNext() {
    context.after(context.nanos(upTo: Self.intervalNanosMax)) { [unowned self] in
      guard context.nowNanos < endNanos else { return }
      change()
      planNext()
    }
  }

  private func planLook() {
    context.after(context.nanos(upTo: Self.lookNanosMax)) { [unowned self] in
      guard cluster.takesCalls else { return }
      cluster.checkOwners()
      planLook()
    }
  }

  /// Two routers may be told the same, something else, or nothing.
  private func change() {
    var list = randomList()
    for router in cluster.routers where context.chance(0.6) {
      if context.chance(0.3) { list = randomList() }
      router.change(to: list, isPlan: context.chance(0.1))
    }
  }

  private func randomList() -> [ShardDescription] {
    let dropped = context.chance(0.5) ? context.number(0...cluster.shards.count - 1) : -1
    let isHeavy = context.chance(0.3) ? context.number(0...cluster.shards.count - 1) : -1
    return cluster.shards.filter { $0.number != dropped }.map { shard in
      let port = context.chance(0.2) ? 50_062 : 50_061
      return ShardDescription(
        id: shard.id, address: "\(shard.id):\(port)", weight: shard.number == isHeavy ? 2 : 1)
    }
  }
}

extension SimulatedRouter {
  func change(to list: [ShardDescription], isPlan: Bool) {
    core.change(to: list, isPlan: isPlan) { [context] outcome in
      switch outcome {
      case .success(let report):
        guard !isPlan else { return }
        context.cover(report.moves.isEmpty ? .mapReaddressed : .mapChanged)
      case .failure: context.cover(.mapChangeRefused)
      }
    }
    eventHandled()
  }
}

extension SimulatedCluster {
  /// No slot is served by two shards.
  func checkOwners() {
    let owned = shards.filter { $0.state != .down && $0.core.ownership.map != nil }
      .map { (id: $0.id, slots: $0.core.ownership.states.owned) }
    for (place, one) in owned.enumerated() {
      for other in owned[..<place] {
        let both = zip(one.slots.words, other.slots.words).map { $0 & $1 }
        guard both.contains(where: { $0 != 0 }) else { continue }
        context.found(.ownedTwice, "shards \(one.id) and \(other.id) both own some slot")
      }
    }
  }
}

extension SimulationConfiguration {
  /// Routers that change the slot map.
  package static var withMapChanges: SimulationConfiguration {
    var configuration = SimulationConfiguration()
    configuration.name = "map changes"
    configuration.changesMap = true
    configuration.shards = 4
    configuration.keys = 6
    return configuration
  }
}

// What breaks, and when. Faults overlap as they fall; all of them come to an end.
//
// Owns nothing but its plan. One thread.

import LogFiles
import SimulatedDisk

final class SimulatedFaults {
  enum Kind: CaseIterable {
    case drop, crash, stall, drain, slow, cancelStorm, stutter, hold, routerDrain, clockJump
    case diskFull, diskError, diskStall
  }

  /// Longer than a shard accepts writes that the disk doesn't take.
  private static let diskStallNanosMax: UInt64 = 7_000_000_000

  private let context: SimulationContext
  private unowned let cluster: SimulatedCluster
  private let kinds: [Kind]
  private let intervalNanosMax: UInt64
  private let endNanos: UInt64
  /// When the last fault in progress ends.
  private(set) var overNanos: UInt64 = 0

  init(context: SimulationContext, cluster: SimulatedCluster, endNanos: UInt64) {
    self.context = context
    self.cluster = cluster
    self.endNanos = endNanos
    var drawn: [Kind] = []
    let shardsDie = context.configuration.faults.shardsDie
    for kind in Kind.allCases {
      let takesPart =
        switch kind {
        case .hold: context.configuration.faults.holdNanosMax > 0
        case .clockJump: context.configuration.clocksJump && context.chance(0.3)
        case .routerDrain: context.chance(0.2)
        case .diskFull, .diskError:
          context.configuration.keepsData && shardsDie && context.chance(0.3)
        case .diskStall: context.configuration.faults.disksStall && context.chance(0.3)
        case .crash, .drain: context.chance(0.6) && shardsDie
        case .drop, .stall, .slow, .cancelStorm, .stutter: context.chance(0.6)
        }
      if takesPart { drawn.append(kind) }
    }
    kinds = drawn.isEmpty ? [.drop] : drawn
    let scale = UInt64(context.number(0...2))
    intervalNanosMax = context.configuration.faults.intervalNanosMax << scale
  }

  func planNext() {
    context.after(context.nanos(upTo: intervalNanosMax)) { [unowned self] in
      guard context.nowNanos < endNanos else { return }
      strike()
      planNext()
    }
  }

  private func strike() {
    let faults = context.configuration.faults
    let shard = cluster.shards[context.number(0...cluster.shards.count - 1)]
    switch kinds[context.number(0...kinds.count - 1)] {
    case .drop:
      cluster.network.dropOne()
    case .crash:
      guard shard.state != .down else { return }
      context.cover(.crashed)
      strikeDown(shard)
    case .stall:
      guard shard.state != .down, !shard.isStalled else { return }
      context.cover(.stalled)
      stall(shard, forNanos: context.nanosOfAnyScale(upTo: faults.stallNanosMax))
    case .drain:
      guard shard.state == .up, !shard.isStalled else { return }
      context.cover(.drained)
      drain(shard)
    case .cancelStorm:
      context.cover(.cancelStorm)
      cluster.cancelStorm()
    case .stutter:
      context.cover(.stuttered)
      stutter(shard, times: context.number(5...40))
    case .hold:
      context.cover(.heldLink)
      let nanos = context.nanos(upTo: faults.holdNanosMax)
      lasts(nanos)
      cluster.network.hold(
        router: context.number(0...cluster.routers.count - 1), shard: shard.number,
        forNanos: nanos)
    case .clockJump:
      let scales: [Int64] = [1_000, 1_000, 60_000, 365 * 86_400_000]
      let scale = scales[context.number(0...scales.count - 1)]
      let millis = Int64.random(in: -scale...scale, using: &context.random)
      shard.wallClock.set(byMillis: millis)
    case .routerDrain:
      // It continues replying, as long as the run goes.
      let router = cluster.routers[context.number(0...cluster.routers.count - 1)]
      guard !router.isDraining, context.chance(0.3) else { return }
      context.cover(.routerDrained)
      router.drain()
    case .diskFull:
      guard context.chance(0.5) else { return }
      context.cover(.diskFilled)
      let nanos = context.nanosOfAnyScale(upTo: 500_000_000)
      lasts(nanos)
      shard.storage?.fill(forNanos: nanos)
    case .diskError:
      guard context.chance(0.5) else { return }
      context.cover(.diskFailed)
      shard.storage?.fails(.error(FileErrorCode.inputOutput))
    case .diskStall:
      guard context.chance(0.5) else { return }
      context.cover(.diskStalled)
      let nanos =
        context.chance(0.5)
        ? Self.diskStallNanosMax : context.nanosOfAnyScale(upTo: Self.diskStallNanosMax)
      lasts(nanos)
      shard.storage?.stall(forNanos: nanos)
    case .slow:
      context.cover(.slowed)
      let nanos = context.nanos(upTo: 1_000_000_000)
      lasts(nanos)
      cluster.network.slow(
        router: context.number(0...cluster.routers.count - 1), shard: shard.number,
        forNanos: nanos)
    }
  }

  /// A crash now, or at a moment that is worse.
  private func strikeDown(_ shard: SimulatedShard) {
    guard let storage = shard.storage else { return crash(shard) }
    switch (storage.policy, context.number(0...2)) {
    case (.always, 0): storage.fails(.powerLoss)
    case (.always, 1): crash(shard, .powerLoss)
    case (.always, _), (_, 0): crash(shard)
    default: storage.diesWhenHeld = true
    }
  }

  /// A shard ends, and comes back some time later.
  func crash(_ shard: SimulatedShard, _ end: SimulatedStorage.End = .kill) {
    let crashed = cluster.shardCrashed(shard)
    shard.crash(end)
    let nanos = context.nanosOfAnyScale(upTo: context.configuration.faults.downNanosMax)
    lasts(nanos)
    context.after(nanos) { [unowned self] in
      cluster.shardRestarts(shard, since: crashed)
      shard.start()
    }
  }

  func stall(_ shard: SimulatedShard, forNanos nanos: UInt64) {
    let incarnation = shard.incarnations
    shard.stall()
    lasts(nanos)
    context.after(nanos) {
      guard shard.incarnations == incarnation, shard.isStalled else { return }
      shard.resume()
    }
  }

  /// A slow node: it stops for a moment again and again.
  private func stutter(_ shard: SimulatedShard, times: Int) {
    if shard.state != .down, !shard.isStalled {
      stall(shard, forNanos: context.nanosOfAnyScale(upTo: 20_000_000))
    }
    guard times > 1, context.nowNanos < endNanos else { return }
    context.after(context.nanos(upTo: 30_000_000)) { [unowned self] in
      stutter(shard, times: times - 1)
    }
  }

  /// A regular stop: the process ends when its routers have disconnected, or when its time is over.
  private func drain(_ shard: SimulatedShard) {
    let incarnation = shard.incarnations
    shard.drain()
    let nanos = context.nanos(upTo: context.configuration.faults.drainNanosMax)
    lasts(nanos)
    context.after(nanos) { [unowned self] in
      guard shard.incarnations == incarnation, shard.state == .draining else { return }
      crash(shard, shard.storage != nil && !shard.isStalled ? .clean : .kill)
    }
  }

  private func lasts(_ nanos: UInt64) {
    overNanos = max(overNanos, context.nowNanos + nanos)
  }
}

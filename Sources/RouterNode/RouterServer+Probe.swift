// A router's data for the admin port. Each event loop in turn returns its own numbers, and they are
// combined here. Any thread.

import Commands
import Front
import GRPC
import MetricTypes
import NIOCore
import NodeCore
import RingstoreAPI
import StandardServices

extension RouterServer {
  static let probeName = NodeDescription.routerID

  package var probe: NodeProbe {
    NodeProbe(
      name: Self.probeName, role: "router", metrics: { await self.metrics() },
      notReadyReason: { await self.notReadyReason() }, slowCalls: { await self.slowCalls() })
  }

  private static let labels = NodeProbe.labels(probeName, role: "router")

  private func metrics() async -> MetricCollection {
    var all = MetricCollection(Self.labels)
    var refusals: [String: Set<LinkRefusal>] = [:]
    for (number, service) in services.enumerated() {
      let asked = NIODeadline.now()
      let part = await nodeLoops.ask(service.eventLoop) {
        let delay = NIODeadline.now() - asked
        let part = service.value.metrics(
          MetricCollection(Self.labels), loop: number, delay: delay)
        return (metrics: part, refusals: service.value.core.linkRefusals)
      }
      guard let part else { continue }
      all.add(part.metrics)
      for (shard, refusal) in part.refusals {
        refusals[shard, default: []].formUnion([refusal].compactMap { $0 })
      }
    }
    addLinkStates(to: &all)
    addRefusals(refusals, to: &all)
    all.add(connections)
    if let ledger { all.add(ledger) }
    for (use, contexts) in [("server", serverContexts), ("link", linkContexts)] {
      if let contexts { all.add(contexts, use: use) }
    }
    return all
  }

  /// A shard is up for the router when all of its loops reach it.
  private func addLinkStates(to all: inout MetricCollection) {
    let links = all.families.first { $0.definition == NodeMetric.links }
    let shards = Set((links?.series ?? []).flatMap(\.labels).filter { $0.name == "shard" })
    for shard in shards.sorted(by: { $0.value < $1.value }) {
      let ready = all.value(of: NodeMetric.links.name, [shard, MetricLabel("state", "ready")])
      all.add(NodeMetric.linkUp, [shard], ready == Double(services.count) ? 1 : 0)
    }
  }

  /// A shard refuses the router for what it refuses any of its loops for.
  private func addRefusals(
    _ refusals: [String: Set<LinkRefusal>], to all: inout MetricCollection
  ) {
    for (shard, reasons) in refusals.sorted(by: { $0.key < $1.key }) {
      for refusal in LinkRefusal.allCases {
        all.add(
          NodeMetric.linkRefused,
          [MetricLabel("shard", shard), MetricLabel("reason", refusal.rawValue)],
          reasons.contains(refusal) ? 1 : 0)
      }
    }
  }

  private func notReadyReason() async -> String? {
    for service in services {
      let told = await nodeLoops.ask(service.eventLoop) {
        service.value.front.standard.notReadyReason
      }
      guard let reason = told else { return "not serving: the router has stopped" }
      if let reason { return reason }
    }
    return nil
  }

  private func slowCalls() async -> SlowCalls {
    var all = SlowCalls()
    for service in services {
      let part = await nodeLoops.ask(service.eventLoop) { service.value.slowCalls(isReset: false) }
      if let part { all = all + part }
    }
    return all
  }
}

extension RouterService {
  /// What this loop has kept of slow and large calls, which is forgotten with `isReset`.
  func slowCalls(isReset: Bool) -> SlowCalls {
    let calls = SlowCalls(core.meter.slowLog)
    if isReset { core.meter.slowLog.reset() }
    return calls
  }

  /// What this loop can tell.
  ///
  /// - Parameters:
  ///   - metrics: empty, with the node's labels.
  ///   - delay: how long the question waited.
  func metrics(
    _ metrics: MetricCollection, loop: Int, delay: TimeAmount
  ) -> MetricCollection {
    var metrics = metrics
    if loop == 0 {
      let reason = front.standard.notReadyReason
      metrics.add(state: nodeState, isReady: reason == nil)
      core.addSharedMetrics(to: &metrics)
    }
    metrics.add(nodeCounters, core.meter, isShard: false)
    metrics.add(flusher.scheduler.meter.report, loop: loop)
    metrics.add(
      NodeMetric.loopDelay, [MetricLabel("loop", "\(loop)")],
      number: Double(delay.nanoseconds) / 1_000_000_000)
    core.addMetrics(to: &metrics)
    for line in core.linkReports(name: { $0 }) {
      for (name, state) in Self.linkStates {
        metrics.add(
          NodeMetric.links, [MetricLabel("shard", line.name), MetricLabel("state", name)],
          line.state == state ? 1 : 0)
      }
    }
    metrics.add(NodeMetric.linkReconnects, linkCounters.reconnects)
    metrics.add(NodeMetric.shardRestarts, linkCounters.shardRestarts)
    return metrics
  }

  private var nodeState: V1.Node.State {
    if front.standard.isDraining { return .draining }
    return core.notServingReason == nil ? .serving : .notServing
  }

  private static let linkStates: [(String, LinkReport.State)] = [
    ("idle", .idle), ("connecting", .connecting), ("ready", .ready),
    ("transient_failure", .transientFailure), ("shutdown", .shutdown),
  ]
}

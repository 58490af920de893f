// Metrics that routers and shards have in common, from the same numbers as Stats: nothing is
// counted twice. Pure.

import Commands
import GRPC
import MetricTypes
import RingstoreAPI
import Users

extension MetricCollection {
  /// Calls by command, their errors, and how long they took.
  package mutating func add(_ counters: NodeCounters, _ meter: CallMeter, isShard: Bool) {
    for command in CommandTable.all {
      let label = MetricLabel("command", command.name.lowercased())
      let count = counters.count(of: command.id.rawValue)
      if count > 0 { add(NodeMetric.calls, [label], count) }
      guard let place = CallNumbers.place(of: command.id.rawValue) else { continue }
      for isError in [false, true] {
        guard let durations = meter.counts(place, isError: isError) else { continue }
        add(
          NodeMetric.callDuration, [label, MetricLabel("outcome", isError ? "error" : "ok")],
          durations)
      }
    }
    for (kind, count) in counters.errorCounts {
      add(
        NodeMetric.callErrors,
        [
          MetricLabel("reason", kind.reason?.rawValue ?? ""), MetricLabel("code", kind.code.name),
        ], count)
    }
    add(NodeMetric.slowCalls, meter.slowLog.slow.total)
    add(NodeMetric.largeCalls, meter.slowLog.large.total)
    // A router executes no slices.
    guard isShard else { return }
    for method in InternalMethod.allCases {
      let count = counters.count(of: Int(method.rawValue))
      if count > 0 { add(NodeMetric.slices, [MetricLabel("part", method.metricName)], count) }
    }
  }

  package mutating func add(_ report: LoopMeter.Report, loop: Int) {
    let label = [MetricLabel("loop", "\(loop)")]
    add(NodeMetric.loopTicks, label, report.ticks)
    add(NodeMetric.loopTurns, label, report.turns)
    add(NodeMetric.loopLateTurns, label, report.lateTurns)
    add(NodeMetric.streams, report.openStreams)
    for (port, traffic) in [("grpc", report.grpc), ("line", report.lines)] {
      for (direction, bytes) in [("received", traffic.received), ("sent", traffic.sent)] {
        add(
          NodeMetric.networkBytes,
          [MetricLabel("port", port), MetricLabel("direction", direction)], bytes)
      }
    }
    add(NodeMetric.memory, [MetricLabel("kind", "clients")], report.clientMemoryBytes)
    // Of each loop, so the same for all of them.
    if loop == 0 {
      add(NodeMetric.memoryLimit, [MetricLabel("kind", "clients")], report.clientMemoryBytesMax)
    }
  }

  package mutating func add(_ connections: NodeConnections) {
    let counts = connections.counts
    for (kind, count) in [
      ("client", counts.clients), ("reserved", counts.excess), ("link", counts.links),
    ] {
      add(NodeMetric.connections, [MetricLabel("kind", kind)], count)
    }
    add(NodeMetric.connectionsMax, connections.limits.maxConnections)
    add(NodeMetric.connectionsAccepted, counts.accepted)
    for reason in ConnectionEnd.allCases {
      add(
        NodeMetric.connectionsEnded,
        [
          MetricLabel("kind", reason.isRefusal ? "refused" : "cut"),
          MetricLabel("reason", "\(reason.name)"),
        ], counts.ends[reason] ?? 0)
    }
    add(NodeMetric.handshakes, [MetricLabel("result", "completed")], counts.handshakes)
    add(NodeMetric.handshakes, [MetricLabel("result", "abandoned")], counts.handshakesAbandoned)
    add(NodeMetric.callResets, counts.resets)
    add(NodeMetric.transportRefusals, counts.refusedCalls)
  }

  package mutating func add(_ ledger: AccessLedger) {
    for refusal in AccessRefusal.allCases {
      add(
        NodeMetric.accessRefused, [MetricLabel("reason", refusal.rawValue)],
        ledger.count(of: refusal))
    }
    let reloads = ledger.reloadCounts
    add(NodeMetric.usersReloads, [MetricLabel("result", "ok")], reloads.usable)
    add(NodeMetric.usersReloads, [MetricLabel("result", "failed")], reloads.failed)
  }

  /// Certificates of one use: server, or link.
  package mutating func add(_ contexts: TLSContexts, use: String) {
    if let end = contexts.certificateEndSeconds {
      add(NodeMetric.certificateEnd, [MetricLabel("use", use)], end)
    }
    let reloads = contexts.reloadCounts
    add(NodeMetric.tlsReloads, [MetricLabel("result", "ok")], reloads.usable)
    add(NodeMetric.tlsReloads, [MetricLabel("result", "failed")], reloads.failed)
  }

  package mutating func add(_ memory: MemoryBudget) {
    add(NodeMetric.memory, [MetricLabel("kind", "replies")], memory.heldBytes)
  }

  package mutating func add(state: V1.Node.State, isReady: Bool) {
    add(NodeMetric.ready, isReady ? 1 : 0)
    for (name, known) in [
      ("serving", V1.Node.State.serving), ("not_serving", .notServing), ("loading", .loading),
      ("draining", .draining),
    ] {
      add(NodeMetric.state, [MetricLabel("state", name)], state == known ? 1 : 0)
    }
  }
}

extension InternalMethod {
  /// "bigKeysPart" as "big_keys".
  fileprivate var metricName: String {
    var name = ""
    for letter in "\(self)" {
      if letter.isUppercase { name += "_" }
      name += letter.lowercased()
    }
    return name.hasSuffix("_part") ? String(name.dropLast("_part".count)) : name
  }
}

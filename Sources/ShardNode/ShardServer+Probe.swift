// A shard's data for the admin port, collected on its event loop. The size and free space of the
// disk are read on another thread, because that may block. Any thread.

import Front
import GRPC
import LogFiles
import MetricTypes
import NIOCore
import NodeCore
import RingstoreAPI

extension ShardServer {
  package var probe: NodeProbe {
    NodeProbe(
      name: id, role: "shard", metrics: { await self.metrics() },
      notReadyReason: { await self.notReadyReason() }, slowCalls: { await self.slowCalls() })
  }

  private func metrics() async -> MetricCollection {
    let labels = NodeProbe.labels(id, role: "shard")
    let service = self.service
    var all = MetricCollection(labels)
    let asked = NIODeadline.now()
    let part = await loops.ask(service.eventLoop) {
      let delay = NIODeadline.now() - asked
      return service.value.metrics(MetricCollection(labels), delay: delay)
    }
    if let part { all.add(part) }
    all.add(connections)
    if let ledger { all.add(ledger) }
    if let contexts { all.add(contexts, use: "server") }
    if let dataDirectory { Self.addDisk(dataDirectory, to: &all) }
    return all
  }

  private static func addDisk(_ directory: String, to metrics: inout MetricCollection) {
    let files = PosixFiles()
    if let room = try? files.room(at: directory) {
      metrics.add(NodeMetric.diskFree, room.free)
      metrics.add(NodeMetric.diskSize, room.size)
    }
    if let bytes = try? files.bytesTaken(in: directory) { metrics.add(NodeMetric.logFiles, bytes) }
  }

  private func notReadyReason() async -> String? {
    let service = self.service
    let told = await loops.ask(service.eventLoop) { service.value.front.standard.notReadyReason }
    guard let reason = told else { return "not serving: the shard has stopped" }
    return reason
  }

  private func slowCalls() async -> SlowCalls {
    let service = self.service
    return await loops.ask(service.eventLoop) { service.value.slowCalls(isReset: false) }
      ?? SlowCalls()
  }
}

extension ShardService {
  /// What is kept of slow and large calls, which is forgotten with `isReset`.
  func slowCalls(isReset: Bool) -> SlowCalls {
    let calls = SlowCalls(core.meter.slowLog)
    if isReset { core.meter.slowLog.reset() }
    return calls
  }

  /// What the shard can tell.
  ///
  /// - Parameters:
  ///   - metrics: empty, with the node's labels.
  ///   - delay: how long the question waited.
  func metrics(_ metrics: MetricCollection, delay: TimeAmount) -> MetricCollection {
    var metrics = metrics
    metrics.add(state: core.state, isReady: front.standard.notReadyReason == nil)
    metrics.add(flusher.scheduler.meter.report, loop: 0)
    metrics.add(
      NodeMetric.loopDelay, [MetricLabel("loop", "0")],
      number: Double(delay.nanoseconds) / 1_000_000_000)
    core.addMetrics(to: &metrics)
    return metrics
  }
}

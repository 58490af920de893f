// The traces of a process: the data that its nodes share for them, and the exporter. Any thread.

import GRPC
import Logging
import MetricTypes
import NIOCore
import NodeCore
import TraceExport
import Tracing

struct NodeTracing: Sendable {
  /// How long the export of the last spans may take at the end of the process.
  private static let flushTime = TimeAmount.seconds(2)

  /// nil: no call is traced.
  let traces: ProcessTraces?
  private let exporter: TraceExporter?

  /// Starts the exporter if traces are configured.
  init(_ configuration: TraceConfiguration?, _ logs: NodeLogs) {
    guard let configuration else {
      traces = nil
      exporter = nil
      return
    }
    let traces = ProcessTraces(
      configuration.settings,
      clock: TraceClock(
        nanos: { NIODeadline.now().uptimeNanoseconds }, unixNanos: WallTime.unixNanos),
      random: { SplitMix64(seed: .random(in: .min ... .max)) })
    self.traces = traces
    let logger = logs.logger("ringstore.traces")
    var settings = configuration.exporter
    if let headers = configuration.headers { settings.headers = { headers.current(logger) } }
    exporter = TraceExporter(settings, traces.queue, logger: logger)
  }

  /// The counts of spans; zeros without an endpoint.
  func addMetrics(to metrics: inout MetricCollection) {
    metrics.add(traces?.queue.counts ?? SpanQueue.Counts())
  }

  /// Exports the waiting spans.
  func end() async { await exporter?.stop(within: Self.flushTime) }
}

extension RunningNode {
  /// The same node, which exports its last spans when it has drained.
  func with(_ tracing: NodeTracing) -> RunningNode {
    var node = self
    let drainNode = drain
    node.drain = {
      await drainNode()
      await tracing.end()
    }
    return node
  }
}

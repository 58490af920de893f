// The metrics of traces; docs/METRICS.md explains them. Values; any thread.

import MetricTypes
import Tracing

package enum TraceMetric {
  package static let spans = MetricDefinition(
    .counter, "ringstore_trace_spans_total", "Spans, by outcome.")
  package static let exports = MetricDefinition(
    .counter, "ringstore_trace_exports_total", "Batches of spans that were sent to the collector.")
  package static let waiting = MetricDefinition(
    .gauge, "ringstore_trace_spans_waiting", "Spans that wait to be exported.")
}

extension MetricCollection {
  package mutating func add(_ counts: SpanQueue.Counts) {
    for (outcome, count) in [
      ("exported", counts.exported), ("failed", counts.failed), ("dropped", counts.dropped),
      ("limited", counts.limited),
    ] {
      add(TraceMetric.spans, [MetricLabel("outcome", outcome)], count)
    }
    for (result, count) in [("ok", counts.exportsDone), ("failed", counts.exportsFailed)] {
      add(TraceMetric.exports, [MetricLabel("result", result)], count)
    }
    add(TraceMetric.waiting, counts.waiting)
  }
}

// The two forms of text, as they are written in the specifications.

import MetricTypes
import Testing

@Suite struct MetricTextTests {
  private static let calls = MetricDefinition(.counter, "app_calls_total", "Calls.")
  private static let memory = MetricDefinition(.gauge, "app_memory_bytes", "Memory \"used\".\nAll.")
  private static let durations = MetricDefinition(.histogram, "app_wait_seconds", "Waits.")

  private var metrics: MetricCollection {
    var metrics = MetricCollection([MetricLabel("node", "a\"b\\c\nd")])
    metrics.add(Self.calls, [MetricLabel("command", "get")], 3)
    metrics.add(Self.calls, [MetricLabel("command", "get")], 4)
    metrics.add(Self.memory, number: 0.5)
    return metrics
  }

  @Test func prometheusTextNamesACounterWithTotalAndEscapesWhatWouldEndALabel() {
    #expect(
      MetricText.prometheus.text(metrics) == #"""
        # HELP app_calls_total Calls.
        # TYPE app_calls_total counter
        app_calls_total{node="a\"b\\c\nd",command="get"} 7
        # HELP app_memory_bytes Memory "used".\nAll.
        # TYPE app_memory_bytes gauge
        app_memory_bytes{node="a\"b\\c\nd"} 0.5

        """#)
  }

  @Test func openMetricsNamesTheFamilyWithoutTotalTellsUnitsAndHasAnEnd() {
    #expect(
      MetricText.openMetrics.text(metrics) == #"""
        # HELP app_calls Calls.
        # TYPE app_calls counter
        app_calls_total{node="a\"b\\c\nd",command="get"} 7
        # HELP app_memory_bytes Memory \"used\".\nAll.
        # TYPE app_memory_bytes gauge
        # UNIT app_memory_bytes bytes
        app_memory_bytes{node="a\"b\\c\nd"} 0.5
        # EOF

        """#)
  }

  @Test func aHistogramsBucketsAddUpTheLastIsAllAndBoundsAreSeconds() {
    var counts = DurationCounts()
    for nanos in [900, 1_000, 1_001, 3_000_000, 60_000_000_000] as [UInt64] {
      counts.add(nanos: nanos)
    }
    var metrics = MetricCollection()
    metrics.add(Self.durations, counts)
    let lines = MetricText.prometheus.text(metrics).split(separator: "\n").map(String.init)
    #expect(lines.contains(#"app_wait_seconds_bucket{le="1e-06"} 2"#))
    #expect(lines.contains(#"app_wait_seconds_bucket{le="2e-06"} 3"#))
    #expect(lines.contains(#"app_wait_seconds_bucket{le="0.004096"} 4"#))
    #expect(lines.contains(#"app_wait_seconds_bucket{le="16.777216"} 4"#))
    #expect(lines.contains(#"app_wait_seconds_bucket{le="+Inf"} 5"#))
    #expect(lines.contains("app_wait_seconds_sum 60.003002901"))
    #expect(lines.contains("app_wait_seconds_count 5"))
    #expect(lines.count == 2 + 25 + 3)
  }

  @Test func aFamilyWithoutASeriesIsNotWritten() {
    #expect(MetricText.prometheus.text(MetricCollection()) == "")
    #expect(MetricText.openMetrics.text(MetricCollection()) == "# EOF\n")
  }

  @Test(
    arguments: [
      (nil, MetricText.prometheus), ("*/*", .prometheus), ("text/plain", .prometheus),
      ("application/openmetrics-text", .openMetrics),
      ("Application/OpenMetrics-Text; version=1.0.0; charset=utf-8", .openMetrics),
      ("text/plain;q=0.5, application/openmetrics-text;version=1.0.0;q=0.75", .openMetrics),
      ("application/openmetrics-text;q=0, text/plain", .prometheus),
      ("application/openmetrics-textual", .prometheus), (",;,", .prometheus),
    ] as [(String?, MetricText)])
  func openMetricsIsWrittenForWhoNamesItAndTakesIt(accept: String?, form: MetricText) {
    #expect(MetricText(accept: accept) == form)
  }

  @Test func partsOfANodeAddUpByNameAndLabels() {
    var (one, other) = (MetricCollection(), MetricCollection())
    one.add(Self.calls, [MetricLabel("command", "get")], 1)
    other.add(Self.calls, [MetricLabel("command", "get")], 2)
    other.add(Self.calls, [MetricLabel("command", "set")], 5)
    one.add(other)
    #expect(one.value(of: "app_calls_total", [MetricLabel("command", "get")]) == 3)
    #expect(one.value(of: "app_calls_total", [MetricLabel("command", "set")]) == 5)
    #expect(one.value(of: "app_calls_total", [MetricLabel("command", "del")]) == nil)
  }
}

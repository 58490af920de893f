// What libraries count through swift-metrics.

import MetricTypes
import Metrics
import Testing

@testable import Admin

@Suite struct LibraryMetricsTests {
  private let library = LibraryMetrics()

  private var text: String {
    var metrics = MetricCollection()
    library.add(to: &metrics)
    return MetricText.prometheus.text(metrics)
  }

  @Test func countersGaugesRecordersAndTimersAppearUnderTheirNames() {
    Counter(label: "http.requests", dimensions: [("code", "200")], factory: library)
      .increment(by: 3)
    Gauge(label: "pool_size", factory: library).record(7)
    Meter(label: "temperature", factory: library).set(-1.5)
    let timer = Timer(label: "wait", factory: library)
    timer.recordMilliseconds(2)
    let recorder = Recorder(label: "batch", factory: library)
    recorder.record(4)
    recorder.record(6)
    let lines = text.split(separator: "\n")
    #expect(lines.contains(#"http_requests_total{code="200"} 3"#))
    #expect(lines.contains("pool_size 7"))
    #expect(lines.contains("temperature -1.5"))
    #expect(lines.contains("wait_seconds_count 1"))
    #expect(lines.contains("wait_seconds_sum 0.002"))
    #expect(lines.contains("batch_sum_total 10"))
    #expect(lines.contains("batch_count_total 2"))
  }

  @Test func aLibraryCannotTakeOurNamesAndADestroyedMetricIsGone() {
    Counter(label: "ringstore_keys", factory: library).increment()
    Counter(label: "process_threads", factory: library).increment()
    let counter = Counter(label: "other", factory: library)
    counter.increment()
    #expect(text.contains("other_total 1"))
    counter.destroy()
    #expect(text == "")
  }

  @Test func theNumberOfSeriesIsBounded() {
    for number in 0..<LibraryMetrics.seriesMax + 10 {
      Counter(label: "c", dimensions: [("n", "\(number)")], factory: library).increment()
    }
    let lines = text.split(separator: "\n").count { $0.hasPrefix("c_total{") }
    #expect(lines == LibraryMetrics.seriesMax)
  }

  @Test(arguments: [("a.b-c", "a_b_c_total"), ("9lives", "_9lives_total"), ("é", "___total")])
  func namesBecomeWhatPrometheusTakes(label: String, name: String) {
    Counter(label: label, factory: library).increment()
    #expect(text.contains("\(name) 1"))
  }
}

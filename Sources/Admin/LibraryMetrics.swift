// The backend of swift-metrics: the counters of libraries in this process appear on /metrics under
// the libraries' names. Our own counters don't use it: those of hot paths are plain numbers of
// their loops (CallMeter, NodeCounters).
//
// Bounds: `seriesMax` names with their labels; further ones are not counted, so a library that
// makes labels from client input can't use up the memory. Any thread; each handler has its own
// lock.

import MetricTypes
import Metrics
import NIOConcurrencyHelpers

package final class LibraryMetrics: MetricsFactory {
  package static let seriesMax = 1_000
  /// The names of a process that others may not give.
  private static let ownPrefixes = ["ringstore_", "process_"]

  private let series = NIOLockedValueBox<[ObjectIdentifier: LibraryMetric]>([:])
  private let isBootstrapped = NIOLockedValueBox(false)

  package init() {}

  /// Makes libraries count here until the process ends. Call it once.
  package func bootstrap() {
    let isFirst = isBootstrapped.withLockedValue { done in
      defer { done = true }
      return !done
    }
    if isFirst { MetricsSystem.bootstrap(self) }
  }

  package func add(to metrics: inout MetricCollection) {
    let all = series.withLockedValue { Array($0.values) }
    for metric in all.sorted(by: { ($0.name, "\($0.labels)") < ($1.name, "\($1.labels)") }) {
      metric.add(to: &metrics)
    }
  }

  private func make(
    _ kind: LibraryMetric.Kind, _ label: String, _ dimensions: [(String, String)]
  ) -> LibraryMetric {
    let metric = LibraryMetric(kind, label, dimensions)
    guard !Self.ownPrefixes.contains(where: metric.name.hasPrefix) else { return metric }
    series.withLockedValue { series in
      if series.count < Self.seriesMax { series[ObjectIdentifier(metric)] = metric }
    }
    return metric
  }

  private func destroy(_ handler: AnyObject) {
    _ = series.withLockedValue { $0.removeValue(forKey: ObjectIdentifier(handler)) }
  }

  package func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
    make(.counter, label, dimensions)
  }

  package func makeRecorder(
    label: String, dimensions: [(String, String)], aggregate: Bool
  ) -> any RecorderHandler {
    make(aggregate ? .summary : .gauge, label, dimensions)
  }

  package func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
    make(.gauge, label, dimensions)
  }

  package func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
    make(.timer, label, dimensions)
  }

  package func destroyCounter(_ handler: any CounterHandler) { destroy(handler) }
  package func destroyRecorder(_ handler: any RecorderHandler) { destroy(handler) }
  package func destroyMeter(_ handler: any MeterHandler) { destroy(handler) }
  package func destroyTimer(_ handler: any TimerHandler) { destroy(handler) }
}

/// One series of a library.
final class LibraryMetric: CounterHandler, RecorderHandler, MeterHandler, TimerHandler, Sendable {
  enum Kind: Sendable { case counter, gauge, summary, timer }

  private struct Value {
    var number = 0.0
    var count: UInt64 = 0
    var durations = DurationCounts()
  }

  let name: String
  let labels: [MetricLabel]
  private let kind: Kind
  private let value = NIOLockedValueBox(Value())

  init(_ kind: Kind, _ label: String, _ dimensions: [(String, String)]) {
    self.kind = kind
    name = Self.name(label)
    labels = dimensions.map { MetricLabel(Self.name($0.0), $0.1) }
  }

  /// A name that Prometheus accepts: other characters become an underscore.
  private static func name(_ text: String) -> String {
    let letters = text.utf8.map { byte -> UInt8 in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
        byte
      default: UInt8(ascii: "_")
      }
    }
    let name = String(decoding: letters, as: UTF8.self)
    return name.first?.isNumber == false ? name : "_" + name
  }

  func add(to metrics: inout MetricCollection) {
    let now = value.withLockedValue { $0 }
    let help = "Recorded by a library."
    switch kind {
    case .counter:
      let total = name.hasSuffix("_total") ? name : name + "_total"
      metrics.add(MetricDefinition(.counter, total, help), labels, number: now.number)
    case .gauge:
      metrics.add(MetricDefinition(.gauge, name, help), labels, number: now.number)
    case .summary:
      metrics.add(MetricDefinition(.counter, name + "_sum_total", help), labels, number: now.number)
      metrics.add(MetricDefinition(.counter, name + "_count_total", help), labels, now.count)
    case .timer:
      let seconds = name.hasSuffix("_seconds") ? name : name + "_seconds"
      metrics.add(MetricDefinition(.histogram, seconds, help), labels, now.durations)
    }
  }

  // MARK: - What libraries call

  func increment(by amount: Int64) { value.withLockedValue { $0.number += Double(amount) } }
  func reset() { value.withLockedValue { $0.number = 0 } }

  func record(_ number: Int64) { record(Double(number)) }
  func record(_ number: Double) {
    value.withLockedValue { value in
      value.number = kind == .summary ? value.number + number : number
      value.count += 1
    }
  }

  func set(_ number: Int64) { set(Double(number)) }
  func set(_ number: Double) { value.withLockedValue { $0.number = number } }
  func increment(by amount: Double) { value.withLockedValue { $0.number += amount } }
  func decrement(by amount: Double) { value.withLockedValue { $0.number -= amount } }

  func recordNanoseconds(_ duration: Int64) {
    value.withLockedValue { $0.durations.add(nanos: UInt64(max(duration, 0))) }
  }
}

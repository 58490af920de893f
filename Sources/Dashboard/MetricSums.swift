// What the dashboard shows of a node's metrics. Pure.

import MetricTypes
import NodeCore
import TextForms

struct MetricSums {
  /// How many calls have which duration.
  let durations: DurationCounts
  /// All calls, those that were refused before they began included: these have no duration.
  let calls: UInt64
  /// Calls that ended with an error of the node itself.
  let errors: UInt64
  private let metrics: MetricCollection

  init(_ metrics: MetricCollection) {
    self.metrics = metrics
    var durations = DurationCounts()
    for series in Self.series(of: NodeMetric.callDuration, metrics) {
      if case .durations(let counts) = series.value { durations.add(counts) }
    }
    self.durations = durations
    calls = UInt64(clamping: Self.whole(Self.sum(of: NodeMetric.calls, [], metrics)))
    errors = UInt64(clamping: Self.whole(Self.sum(of: NodeMetric.callErrors, [], metrics)))
  }

  var shown: [JSONValue.Member] {
    [
      member("connections", NodeMetric.connections, [MetricLabel("kind", "client")]),
      member("link_reconnects", NodeMetric.linkReconnects),
      member("shard_restarts", NodeMetric.shardRestarts),
    ]
  }

  private func member(
    _ name: String, _ definition: MetricDefinition, _ labels: [MetricLabel] = []
  ) -> JSONValue.Member {
    .init(name, .integer(Self.whole(Self.sum(of: definition, labels, metrics))))
  }

  /// The links to each shard, of all event loops together; nil: the node has none.
  var links: [JSONValue]? {
    let all = Self.series(of: NodeMetric.links, metrics)
    guard !all.isEmpty else { return nil }
    var shards: [String] = []
    for series in all {
      if let shard = series.value(of: "shard"), !shards.contains(shard) { shards.append(shard) }
    }
    return shards.map(link)
  }

  private func link(_ shard: String) -> JSONValue {
    let label = MetricLabel("shard", shard)
    func sum(_ definition: MetricDefinition, _ labels: MetricLabel...) -> JSONValue {
      .integer(Self.whole(Self.sum(of: definition, [label] + labels, metrics)))
    }
    let states = Self.series(of: NodeMetric.links, metrics).compactMap { series in
      series.value(of: "shard") == shard
        ? series.value(of: "state").map {
          JSONValue.Member($0, .integer(Self.whole(series.number)))
        } : nil
    }
    return .object([
      .init("shard", .string(shard)),
      .init("up", .bool(Self.sum(of: NodeMetric.linkUp, [label], metrics) == 1)),
      .init("states", .object(states)),
      .init("in_flight", sum(NodeMetric.linkCallsInFlight)),
      .init("waiting", sum(NodeMetric.linkCallsWaiting)),
      .init("sent_bytes", sum(NodeMetric.linkBytes, MetricLabel("direction", "sent"))),
      .init("received_bytes", sum(NodeMetric.linkBytes, MetricLabel("direction", "received"))),
    ])
  }

  // MARK: - Series

  private static func series(
    of definition: MetricDefinition, _ metrics: MetricCollection
  ) -> [MetricCollection.Series] {
    metrics.families.first { $0.definition == definition }?.series ?? []
  }

  /// The sum of all series that have these labels, among others.
  private static func sum(
    of definition: MetricDefinition, _ labels: [MetricLabel], _ metrics: MetricCollection
  ) -> Double {
    series(of: definition, metrics).filter { series in
      labels.allSatisfy { series.labels.contains($0) }
    }.reduce(0) { $0 + $1.number }
  }

  private static func whole(_ number: Double) -> Int64 { Int64(exactly: number.rounded()) ?? 0 }
}

extension MetricCollection.Series {
  fileprivate var number: Double {
    if case .number(let number) = value { return number }
    return 0
  }

  fileprivate func value(of label: String) -> String? {
    labels.first { $0.name == label }?.value
  }
}

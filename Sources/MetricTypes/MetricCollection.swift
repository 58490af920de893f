// Metrics at one point in time, passed from event loops and nodes to the pages that show them.
// Values; any thread.

/// What a metric is.
package struct MetricDefinition: Sendable, Hashable {
  package enum Kind: String, Sendable {
    case counter, gauge, histogram
  }

  /// With the suffix `_total` for a counter.
  package let name: String
  package let kind: Kind
  /// One sentence.
  package let help: String

  package init(_ kind: Kind, _ name: String, _ help: String) {
    self.name = name
    self.kind = kind
    self.help = help
  }
}

package struct MetricLabel: Sendable, Hashable {
  package let name: String
  package let value: String

  package init(_ name: String, _ value: String) {
    self.name = name
    self.value = value
  }
}

package enum MetricValue: Sendable, Hashable {
  case number(Double)
  case durations(DurationCounts)

  /// Two parts of one metric: numbers and counts add up.
  static func + (one: MetricValue, other: MetricValue) -> MetricValue {
    switch (one, other) {
    case (.number(let one), .number(let other)): return .number(one + other)
    case (.durations(var one), .durations(let other)):
      one.add(other)
      return .durations(one)
    default: return one
    }
  }
}

/// Values of metrics. A series that is added twice is the sum of both, so that parts of a node can
/// be put together.
package struct MetricCollection: Sendable {
  package struct Series: Sendable {
    package let labels: [MetricLabel]
    package fileprivate(set) var value: MetricValue
  }

  package struct Family: Sendable {
    package let definition: MetricDefinition
    package fileprivate(set) var series: [Series] = []
    fileprivate var places: [[MetricLabel]: Int] = [:]
  }

  /// In the order in which they were added.
  package private(set) var families: [Family] = []
  private var places: [String: Int] = [:]
  /// Before the labels of all that is added.
  private let base: [MetricLabel]

  /// - Parameter base: labels of every series.
  package init(_ base: [MetricLabel] = []) {
    self.base = base
  }

  package mutating func add(_ definition: MetricDefinition, _ value: some BinaryInteger) {
    add(definition, base, .number(Double(value)))
  }

  package mutating func add(
    _ definition: MetricDefinition, _ labels: [MetricLabel], _ value: some BinaryInteger
  ) {
    add(definition, base + labels, .number(Double(value)))
  }

  package mutating func add(
    _ definition: MetricDefinition, _ labels: [MetricLabel] = [], number value: Double
  ) {
    add(definition, base + labels, .number(value))
  }

  package mutating func add(_ definition: MetricDefinition, _ counts: DurationCounts) {
    add(definition, base, .durations(counts))
  }

  package mutating func add(
    _ definition: MetricDefinition, _ labels: [MetricLabel], _ counts: DurationCounts
  ) {
    add(definition, base + labels, .durations(counts))
  }

  /// - Parameter other: has its base labels already.
  package mutating func add(_ other: MetricCollection) {
    for family in other.families {
      // A family without a series is shown too.
      _ = place(of: family.definition)
      for series in family.series { add(family.definition, series.labels, series.value) }
    }
  }

  private mutating func add(
    _ definition: MetricDefinition, _ labels: [MetricLabel], _ value: MetricValue
  ) {
    let place = place(of: definition)
    if let known = families[place].places[labels] {
      families[place].series[known].value = families[place].series[known].value + value
    } else {
      families[place].places[labels] = families[place].series.count
      families[place].series.append(Series(labels: labels, value: value))
    }
  }

  private mutating func place(of definition: MetricDefinition) -> Int {
    if let place = places[definition.name] { return place }
    families.append(Family(definition: definition))
    places[definition.name] = families.count - 1
    return families.count - 1
  }

  /// The value of the first series that has these labels; nil if there is none.
  package func value(of name: String, _ labels: [MetricLabel] = []) -> Double? {
    guard let place = places[name] else { return nil }
    let found = families[place].series.first { series in
      labels.allSatisfy { series.labels.contains($0) }
    }
    if case .number(let value) = found?.value { return value }
    return nil
  }
}

// Metrics as text, in the two forms that Prometheus reads. Pure functions; any thread.
//
//   Prometheus 0.0.4                         OpenMetrics 1.0.0
//   # HELP ringstore_calls_total Calls.      # HELP ringstore_calls Calls.
//   # TYPE ringstore_calls_total counter     # TYPE ringstore_calls counter
//   ringstore_calls_total{a="b"} 3           ringstore_calls_total{a="b"} 3
//                                            # EOF
//
// OpenMetrics names a counter's family without _total, and the unit of those that have one.
// Sources: prometheus.io/docs/instrumenting/exposition_formats, and the OpenMetrics specification.

package enum MetricText: Sendable, Hashable {
  case prometheus
  case openMetrics

  package var contentType: String {
    switch self {
    case .prometheus: "text/plain; version=0.0.4; charset=utf-8"
    case .openMetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8"
    }
  }

  /// The form that a client requests in its Accept header: OpenMetrics if it is named and not
  /// refused, as by Prometheus since 2.5.
  package init(accept: String?) {
    let wanted = (accept ?? "").lowercased().split(separator: ",").contains { range in
      let parts = range.split(separator: ";").map { $0.filter { $0 != " " && $0 != "\t" } }
      guard parts.first == "application/openmetrics-text" else { return false }
      return !parts.contains { part in
        part.hasPrefix("q=") && Double(part.dropFirst(2)) == 0
      }
    }
    self = wanted ? .openMetrics : .prometheus
  }

  package func text(_ metrics: MetricCollection) -> String {
    var text = ""
    // A scrape of one node with a few commands in use.
    text.reserveCapacity(32 << 10)
    for family in metrics.families where !family.series.isEmpty { write(family, into: &text) }
    if self == .openMetrics { text += "# EOF\n" }
    return text
  }

  // MARK: - Families

  private func write(_ family: MetricCollection.Family, into text: inout String) {
    let definition = family.definition
    let name = familyName(definition)
    text += "# HELP \(name) \(Self.escaped(definition.help, quotes: self == .openMetrics))\n"
    text += "# TYPE \(name) \(definition.kind.rawValue)\n"
    if self == .openMetrics, let unit = Self.unit(name) { text += "# UNIT \(name) \(unit)\n" }
    for series in family.series {
      let labels = Self.text(series.labels)
      switch series.value {
      case .number(let number):
        text += definition.name
        if !labels.isEmpty { text += "{\(labels)}" }
        text += " \(Self.text(number))\n"
      case .durations(let counts): Self.write(counts, definition.name, labels, into: &text)
      }
    }
  }

  private func familyName(_ definition: MetricDefinition) -> String {
    guard self == .openMetrics, definition.kind == .counter, definition.name.hasSuffix("_total")
    else { return definition.name }
    return String(definition.name.dropLast("_total".count))
  }

  private static func unit(_ name: String) -> String? {
    ["seconds", "bytes"].first { name.hasSuffix("_\($0)") }
  }

  private static func write(
    _ counts: DurationCounts, _ name: String, _ labels: String, into text: inout String
  ) {
    let before = labels.isEmpty ? "" : labels + ","
    for power in DurationBuckets.shownPowers {
      let bound = Double(UInt64(1) << UInt64(power)) / 1_000_000
      text +=
        "\(name)_bucket{\(before)le=\"\(Self.text(bound))\"} \(counts.count(power: power))\n"
    }
    let total = counts.count
    text += "\(name)_bucket{\(before)le=\"+Inf\"} \(total)\n"
    let behind = labels.isEmpty ? "" : "{\(labels)}"
    text += "\(name)_sum\(behind) \(Self.text(Double(counts.sumNanos) / 1_000_000_000))\n"
    text += "\(name)_count\(behind) \(total)\n"
  }

  // MARK: - Words

  private static func text(_ labels: [MetricLabel]) -> String {
    labels.map { "\($0.name)=\"\(escaped($0.value, quotes: true))\"" }.joined(separator: ",")
  }

  /// Whole numbers without a point, others as short as they can be read back.
  static func text(_ number: Double) -> String {
    if number.isNaN { return "NaN" }
    if number.isInfinite { return number > 0 ? "+Inf" : "-Inf" }
    if let whole = Int64(exactly: number), abs(number) < 0x1p53 { return "\(whole)" }
    return "\(number)"
  }

  private static func escaped(_ text: String, quotes: Bool) -> String {
    guard text.utf8.contains(where: { $0 == 0x5c || $0 == 0x0a || $0 == 0x22 }) else { return text }
    var escaped = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\\": escaped += "\\\\"
      case "\n": escaped += "\\n"
      case "\"" where quotes: escaped += "\\\""
      default: escaped.unicodeScalars.append(scalar)
      }
    }
    return escaped
  }
}

// Two results side by side. Pure functions.

package enum LoadComparison {
  /// A table for each pair of runs: the figures of both, and B as a multiple of A.
  package static func text(_ one: LoadReport, _ other: LoadReport) -> String {
    var lines: [String] = []
    let differences = self.differences(one.settings, other.settings)
    if !differences.isEmpty {
      lines.append("The settings differ, so the figures may not be comparable:")
      lines += LoadText.table(
        [["", "A", "B"]] + differences.map { [$0.name, $0.one, $0.other] })
      lines.append("")
    }
    let (pairs, alone) = pairs(one.runs, other.runs)
    for (first, second) in pairs {
      if let rate = first.rateWanted { lines.append("\(LoadText.rate(rate)) calls/s wanted") }
      lines += LoadText.table([["", "A", "B", "B / A"]] + rows(first, second))
      lines.append("")
    }
    if pairs.isEmpty { lines.append("The results have no run of the same rate.") }
    if alone > 0 { lines.append("Runs in only one of them: \(alone).") }
    for (name, report) in [("A", one), ("B", other)] {
      for run in report.runs {
        let which = run.rateWanted.map { ", \(LoadText.rate($0)) calls/s" } ?? ""
        lines += run.remarks.map { "! \(name)\(which): \($0)" }
      }
    }
    while lines.last == "" { lines.removeLast() }
    return lines.joined(separator: "\n") + "\n"
  }

  /// Runs of the same rate, and how many have no counterpart.
  private static func pairs(
    _ one: [LoadReport.Run], _ other: [LoadReport.Run]
  ) -> (pairs: [(LoadReport.Run, LoadReport.Run)], alone: Int) {
    var rest = other
    var pairs: [(LoadReport.Run, LoadReport.Run)] = []
    for run in one {
      guard let place = rest.firstIndex(where: { $0.rateWanted == run.rateWanted }) else {
        continue
      }
      pairs.append((run, rest.remove(at: place)))
    }
    return (pairs, one.count - pairs.count + rest.count)
  }

  private static func rows(_ one: LoadReport.Run, _ other: LoadReport.Run) -> [[String]] {
    var rows = [
      ["calls/s", LoadText.rate(one.rate), LoadText.rate(other.rate), ratio(one.rate, other.rate)]
    ]
    if one.failed + other.failed > 0 {
      rows.append(["failed calls", "\(one.failed)", "\(other.failed)", ""])
    }
    if one.unsent + other.unsent > 0 {
      rows.append(["calls not sent", "\(one.unsent)", "\(other.unsent)", ""])
    }
    rows += latencyRows("", one.latency, other.latency)
    guard one.kinds.count > 1 || other.kinds.count > 1 else { return rows }
    for kind in one.kinds {
      guard let same = other.kinds.first(where: { $0.name == kind.name }) else { continue }
      rows += latencyRows("\(kind.name) ", kind.latency, same.latency)
    }
    return rows
  }

  private static func latencyRows(
    _ name: String, _ one: LoadReport.Latency?, _ other: LoadReport.Latency?
  ) -> [[String]] {
    guard let one, let other else { return [] }
    let columns: [(String, KeyPath<LoadReport.Latency, Double> & Sendable)] = [
      ("p50", \.p50Micros), ("p90", \.p90Micros), ("p99", \.p99Micros), ("p99.9", \.p999Micros),
      ("p99.99", \.p9999Micros), ("max", \.maxMicros),
    ]
    return columns.map { label, path in
      [
        "\(name)\(label), ms", LoadText.millis(one[keyPath: path]),
        LoadText.millis(other[keyPath: path]), ratio(one[keyPath: path], other[keyPath: path]),
      ]
    }
  }

  private static func ratio(_ one: Double, _ other: Double) -> String {
    one > 0 ? LoadText.fixed(other / one, 2) : "-"
  }

  /// What two loads don't share.
  private static func differences(
    _ one: LoadReport.Settings, _ other: LoadReport.Settings
  ) -> [(name: String, one: String, other: String)] {
    zip(words(one), words(other)).compactMap { first, second in
      first.1 == second.1 ? nil : (first.0, first.1, second.1)
    }
  }

  private static func words(_ settings: LoadReport.Settings) -> [(String, String)] {
    [
      ("protocol", settings.way.rawValue), ("encrypted", "\(settings.encrypted)"),
      ("connections", "\(settings.connections)"), ("in flight", "\(settings.inFlight)"),
      ("batch", "\(settings.batch)"), ("threads", "\(settings.threads)"),
      ("spacing", settings.spacing.rawValue), ("keys", "\(settings.keys)"),
      ("distribution", settings.distribution), ("value bytes", settings.valueBytes),
      ("mix", settings.mix), ("database", "\(settings.database)"),
      ("filled", "\(settings.filled)"),
    ]
  }
}

// Results for people: tables on a terminal. Pure functions.

import TextForms

package enum LoadText {
  /// The whole result.
  package static func text(_ report: LoadReport) -> String {
    var text = settings(report.settings) + "\n"
    for run in report.runs { text += "\n" + self.text(run) }
    if report.runs.count > 1 { text += "\n" + overview(report.runs) }
    if report.wasInterrupted { text += "\nInterrupted before its end.\n" }
    return text
  }

  private static func settings(_ settings: LoadReport.Settings) -> String {
    var depth = "\(settings.connections) connections x \(settings.inFlight) in flight"
    if settings.batch > 1 { depth += ", \(settings.batch) a message" }
    let way = settings.way.rawValue + (settings.encrypted ? " over TLS" : "")
    return
      "\(way), \(depth), \(settings.threads) thread\(settings.threads == 1 ? "" : "s")\n"
      + "\(settings.keys) keys, \(settings.distribution), values of \(settings.valueBytes) bytes, "
      + settings.mix
  }

  private static func text(_ run: LoadReport.Run) -> String {
    var lines: [String] = []
    let wanted = run.rateWanted.map { " of \(rate($0)) wanted" } ?? ""
    lines.append(
      "\(rate(run.rate)) calls/s\(wanted), \(run.calls) calls in \(fixed(run.seconds, 2)) s")
    lines.append(
      "sent \(fixed(megabytes(run.bytesSent, run), 2)) MB/s, received "
        + "\(fixed(megabytes(run.bytesReceived, run), 2)) MB/s")
    lines.append("")
    lines += table(
      [["latency, ms", "calls", "p50", "p90", "p99", "p99.9", "p99.99", "max"]]
        + run.kinds.map { row($0.name, $0.calls, $0.latency) }
        + (run.kinds.count == 1 ? [] : [row("all", run.calls, run.latency)]))
    for kind in run.kinds where kind.found < kind.calls {
      lines.append(
        "\(kind.name): \(kind.found) of \(kind.calls) found their key.")
    }
    lines.append("")
    lines.append("failed calls: \(run.failed)")
    for failure in run.failures {
      let name = LoadTally.name(failure.code, failure.reason)
      let first = failure.count > 1 ? ", the first" : ""
      lines.append(VisibleText.line("  \(failure.count) x \(name)\(first): \(failure.message)"))
    }
    if run.connectionsLost > 0 { lines.append("connections lost: \(run.connectionsLost)") }
    if run.unsent > 0 { lines.append("calls due and not sent: \(run.unsent)") }
    lines += run.remarks.map { "! \($0)" }
    return lines.joined(separator: "\n") + "\n"
  }

  /// One line for each rate.
  private static func overview(_ runs: [LoadReport.Run]) -> String {
    let rows = runs.map { run in
      [run.rateWanted.map(rate) ?? "-", rate(run.rate)]
        + percentiles(run.latency, of: run.calls) + [
          "\(run.failed)", run.remarks.isEmpty ? "" : "!",
        ]
    }
    let head = ["wanted/s", "calls/s", "p50", "p90", "p99", "p99.9", "p99.99", "max", "failed", ""]
    return table([head] + rows).joined(separator: "\n") + "\n"
  }

  private static func row(
    _ name: String, _ calls: Int, _ latency: LoadReport.Latency?
  ) -> [String] {
    [name, "\(calls)"] + percentiles(latency, of: calls)
  }

  /// A percentile finer than the number of calls is left out: it would be the maximum.
  private static func percentiles(_ latency: LoadReport.Latency?, of calls: Int) -> [String] {
    guard let latency else { return Array(repeating: "-", count: 6) }
    return [
      millis(latency.p50Micros), millis(latency.p90Micros), millis(latency.p99Micros),
      calls < 1_000 ? "-" : millis(latency.p999Micros),
      calls < 10_000 ? "-" : millis(latency.p9999Micros), millis(latency.maxMicros),
    ]
  }

  private static func megabytes(_ bytes: Int, _ run: LoadReport.Run) -> Double {
    run.seconds > 0 ? Double(bytes) / run.seconds / 1e6 : 0
  }

  /// Microseconds as milliseconds, with as many decimals as are significant.
  package static func millis(_ micros: Double) -> String {
    fixed(micros / 1_000, micros < 100_000 ? 3 : 1)
  }

  /// Calls a second.
  package static func rate(_ rate: Double) -> String { fixed(rate, rate < 100 ? 1 : 0) }

  /// With this many decimals.
  package static func fixed(_ number: Double, _ places: Int) -> String {
    guard number.isFinite, abs(number) < 1e15 else { return "-" }
    let unit = places == 0 ? 1 : places == 1 ? 10 : places == 2 ? 100 : 1_000
    let scaled = Int((abs(number) * Double(unit)).rounded())
    let sign = number < 0 && scaled > 0 ? "-" : ""
    guard places > 0 else { return "\(sign)\(scaled)" }
    let behind = String(scaled % unit)
    let zeros = String(repeating: "0", count: String(unit).count - 1 - behind.count)
    return "\(sign)\(scaled / unit).\(zeros)\(behind)"
  }

  /// Columns of one width each: the first to the left, numbers to the right.
  package static func table(_ rows: [[String]]) -> [String] {
    let columns = rows.map(\.count).max() ?? 0
    let widths = (0..<columns).map { column in
      rows.map { $0.count > column ? $0[column].count : 0 }.max() ?? 0
    }
    return rows.map { row in
      let cells = row.enumerated().map { column, cell in
        let padding = String(repeating: " ", count: widths[column] - cell.count)
        return column == 0 ? cell + padding : padding + cell
      }
      return String(cells.joined(separator: "  ").trimmingEnd())
    }
  }
}

extension String {
  fileprivate func trimmingEnd() -> Substring {
    var text = self[...]
    while text.last == " " { text.removeLast() }
    return text
  }
}

// Latency over load as an SVG picture, from a result with several rates. The load is the achieved
// rate, not the requested one; latencies have a logarithmic axis. Pure functions.

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

package enum LatencyPlot {
  private static let width = 800.0
  private static let height = 480.0
  private static let left = 70.0
  private static let right = 110.0
  private static let top = 56.0
  private static let bottom = 56.0
  private static let nameHeight = 17.0

  private struct Curve: Sendable {
    let name: String
    let style: String
    let micros: @Sendable (LoadReport.Latency) -> Double
  }

  private static let curves = [
    Curve(name: "p50", style: "a") { $0.p50Micros },
    Curve(name: "p99", style: "b") { $0.p99Micros },
    Curve(name: "p99.9", style: "c") { $0.p999Micros },
    Curve(name: "max", style: "d") { $0.maxMicros },
  ]

  /// The picture; nil if fewer than two runs have latencies.
  package static func svg(_ report: LoadReport, title: String) -> String? {
    // Ordered by the requested rate: if a higher rate achieves less, the curves turn back.
    let runs = report.runs.filter { $0.latency != nil && $0.rate > 0 }
      .sorted { $0.rateWanted ?? $0.rate < $1.rateWanted ?? $1.rate }
    guard runs.count > 1 else { return nil }
    let axes = Axes(runs)
    var parts = [head(title), grid(axes)]
    // The names never overlap, even if the curves end close together: each is above the one before.
    var nameY = height
    for curve in curves {
      let end = runs.last?.latency.map { axes.y(curve.micros($0)) } ?? 0
      nameY = min(end + 4, nameY - nameHeight)
      parts.append(line(curve, runs, axes))
      parts.append(text(curve.name, width - right + 12, nameY, "start", curve.style))
    }
    parts.append("</svg>")
    return parts.joined(separator: "\n") + "\n"
  }

  /// The ranges of the axes, and the position of a point.
  private struct Axes {
    let rateMax: Double
    let rateStep: Double
    /// Powers of ten of microseconds.
    let lowest: Int
    let highest: Int

    init(_ runs: [LoadReport.Run]) {
      let most = runs.map(\.rate).max() ?? 1
      rateStep = Self.step(most / 5)
      rateMax = (most / rateStep).rounded(.up) * rateStep
      let latencies = runs.compactMap(\.latency)
      let least = max(latencies.map(\.p50Micros).min() ?? 1, 0.1)
      let longest = max(latencies.map(\.maxMicros).max() ?? 1, least)
      lowest = Int(log10(least).rounded(.down))
      highest = max(Int(log10(longest).rounded(.up)), lowest + 1)
    }

    /// 1, 2 or 5 with zeros, and not below.
    private static func step(_ least: Double) -> Double {
      let power = pow(10, log10(least).rounded(.down))
      return [1, 2, 5, 10].map { $0 * power }.first { $0 >= least } ?? 10 * power
    }

    func x(_ rate: Double) -> Double { left + rate / rateMax * (width - left - right) }

    func y(_ micros: Double) -> Double {
      let share =
        (log10(max(micros, 1e-3)) - Double(lowest)) / Double(highest - lowest)
      return height - bottom - min(max(share, 0), 1) * (height - top - bottom)
    }
  }

  private static func head(_ title: String) -> String {
    """
    <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 800 480" width="800" height="480" \
    font-family="system-ui, sans-serif" font-size="13" role="img">
    <title>\(escaped(title))</title>
    <style>
    svg { background: #fff; color: #222; }
    text { fill: currentColor; }
    .grid { stroke: #ddd; fill: none; }
    .line { fill: none; stroke-width: 2; }
    .a { stroke: #0b6e4f; fill: #0b6e4f; } .b { stroke: #1f5fbf; fill: #1f5fbf; }
    .c { stroke: #b35c00; fill: #b35c00; } .d { stroke: #a3195b; fill: #a3195b; }
    .missed { fill: #fff; stroke-width: 2; }
    @media (prefers-color-scheme: dark) {
      svg { background: #16181d; color: #e4e4e4; }
      .grid { stroke: #3a3d45; }
      .a { stroke: #4cc38a; fill: #4cc38a; } .b { stroke: #6ea8ff; fill: #6ea8ff; }
      .c { stroke: #f0a24a; fill: #f0a24a; } .d { stroke: #f07ab0; fill: #f07ab0; }
      .missed { fill: #16181d; }
    }
    path.line { fill: none; }
    text[class] { stroke: none; }
    </style>
    <text x="70" y="28" font-size="16">\(escaped(title))</text>
    """
  }

  private static func grid(_ axes: Axes) -> String {
    var lines: [String] = []
    for power in axes.lowest...axes.highest {
      let micros = pow(10, Double(power))
      let y = axes.y(micros)
      lines.append(#"<path class="grid" d="M\#(at(left)) \#(at(y))H\#(at(width - right))"/>"#)
      lines.append(text(duration(micros), left - 8, y + 4, "end"))
    }
    var rate = 0.0
    while rate <= axes.rateMax * 1.000_1 {
      let x = axes.x(rate)
      lines.append(#"<path class="grid" d="M\#(at(x)) \#(at(top))V\#(at(height - bottom))"/>"#)
      lines.append(text(count(rate), x, height - bottom + 20, "middle"))
      rate += axes.rateStep
    }
    lines.append(text("latency", left - 8, top - 10, "end"))
    lines.append(text("calls a second", (left + width - right) / 2, height - 12, "middle"))
    return lines.joined(separator: "\n")
  }

  private static func line(
    _ curve: Curve, _ runs: [LoadReport.Run], _ axes: Axes
  ) -> String {
    var path = ""
    var points: [String] = []
    for run in runs {
      guard let latency = run.latency else { continue }
      let micros = curve.micros(latency)
      let (x, y) = (axes.x(run.rate), axes.y(micros))
      path += "\(path.isEmpty ? "M" : "L")\(at(x)) \(at(y))"
      let style = run.remarks.isEmpty ? curve.style : "\(curve.style) missed"
      points.append(
        #"<circle class="\#(style)" cx="\#(at(x))" cy="\#(at(y))" r="4"><title>"#
          + "\(curve.name) at \(LoadText.rate(run.rate)) calls/s: \(LoadText.millis(micros)) ms"
          + (run.remarks.isEmpty ? "" : "; \(escaped(run.remarks.joined(separator: " ")))")
          + "</title></circle>")
    }
    return ([#"<path class="line \#(curve.style)" d="\#(path)"/>"#] + points)
      .joined(separator: "\n")
  }

  private static func text(
    _ text: String, _ x: Double, _ y: Double, _ anchor: String, _ style: String = ""
  ) -> String {
    #"<text class="\#(style)" x="\#(at(x))" y="\#(at(y))" text-anchor="\#(anchor)">\#(text)</text>"#
  }

  private static func at(_ place: Double) -> String { LoadText.fixed(place, 1) }

  private static func duration(_ micros: Double) -> String {
    switch micros {
    case ..<1: "\(LoadText.fixed(micros, 1)) µs"
    case ..<1_000: "\(LoadText.fixed(micros, 0)) µs"
    case ..<1_000_000: "\(LoadText.fixed(micros / 1_000, 0)) ms"
    default: "\(LoadText.fixed(micros / 1_000_000, 0)) s"
    }
  }

  private static func count(_ rate: Double) -> String {
    switch rate {
    case ..<10: LoadText.fixed(rate, rate == rate.rounded() ? 0 : 1)
    case ..<10_000: LoadText.fixed(rate, 0)
    case ..<1_000_000: "\(LoadText.fixed(rate / 1_000, 0))k"
    default: "\(LoadText.fixed(rate / 1_000_000, 1))M"
    }
  }

  private static func escaped(_ text: String) -> String {
    text.reduce(into: "") { escaped, character in
      switch character {
      case "&": escaped += "&amp;"
      case "<": escaped += "&lt;"
      case ">": escaped += "&gt;"
      case "\"": escaped += "&quot;"
      default: escaped.append(character)
      }
    }
  }
}

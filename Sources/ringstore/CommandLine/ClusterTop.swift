// `ringstore admin top`: what each node does, from the difference of two readings of its counters.
// On a terminal the table is redrawn in its place; elsewhere each reading is a block of lines, or
// with --json a value on a line.

import Glibc
import MetricTypes
import RingstoreClient
import TextForms

struct ClusterTop {
  let client: RingstoreClient
  let options: RingstoreCallOptions
  /// The only node to be shown; empty: all.
  let node: String
  let json: Bool

  /// Looks until it is stopped, or so often.
  func run(interval: Duration, looks: Int?) async throws {
    let clock = ContinuousClock()
    var before = try await look()
    var shown = 0
    while true {
      try await clock.sleep(for: interval)
      let now = try await look()
      let table = TopTable(before: before, now: now)
      before = now
      let isWritten: Bool
      if json {
        isWritten = Terminal.write(table.json.text + "\n")
      } else if Terminal.isTerminal(STDOUT_FILENO), Terminal.hasCursor {
        // Home, the lines, and clearing the rest of the screen.
        let text = table.text(columns: Terminal.columns(of: STDOUT_FILENO))
        isWritten = Terminal.write("\u{1b}[H\u{1b}[2J" + VisibleText.lines(text) + "\n")
      } else {
        isWritten = Terminal.show(table.text(columns: .max) + "\n\n")
      }
      // The reader has gone, or the write failed; the program reports a failure at its end.
      guard isWritten else { return }
      shown += 1
      if shown == looks { return }
    }
  }

  private func look() async throws -> TopLook {
    let cluster = try await client.describe(options: options)
    var nodes: [TopLook.Node] = []
    for one in cluster.nodes where node.isEmpty || one.id == node {
      // For a node that can't be queried, the reply of Describe is shown.
      do throws(RingstoreError) {
        nodes.append(
          .init(node: one, counters: try await client.stats(ofNode: one.id, options: options)))
      } catch {
        nodes.append(.init(node: one, counters: [:], problem: error.message))
      }
    }
    guard !nodes.isEmpty else { throw Unhealthy("the cluster has no node \(node)") }
    return TopLook(time: ContinuousClock.now, cluster: cluster, nodes: nodes)
  }
}

/// What was seen at one moment.
package struct TopLook {
  package struct Node {
    package let node: RingstoreClusterDescription.Node
    /// Empty: it could not be queried.
    package let counters: [String: Int]
    /// Why it could not be queried; nil: it could.
    package let problem: String?

    package init(
      node: RingstoreClusterDescription.Node, counters: [String: Int], problem: String? = nil
    ) {
      self.node = node
      self.counters = counters
      self.problem = problem
    }
  }

  package let time: ContinuousClock.Instant
  package let cluster: RingstoreClusterDescription
  package let nodes: [Node]

  package init(
    time: ContinuousClock.Instant, cluster: RingstoreClusterDescription, nodes: [Node]
  ) {
    self.time = time
    self.cluster = cluster
    self.nodes = nodes
  }
}

/// Two looks as a table. Pure.
package struct TopTable {
  private static let columns = [
    "NODE", "STATE", "CALLS/S", "ERRORS/S", "P50", "P99", "KEYS", "MEMORY", "CONNECTIONS",
    "WAITING", "EVICTED/S", "EXPIRED/S", "BUSIEST CALLS",
  ]
  private static let busiestMax = 3

  package struct Row {
    package let node: RingstoreClusterDescription.Node
    /// Nil: the node could not be queried both times, or was started in between.
    package let callsPerSecond: Double?
    package let errorsPerSecond: Double?
    /// How long calls took at a shard between the looks.
    package let durations: DurationCounts
    package let evictedPerSecond: Double?
    package let expiredPerSecond: Double?
    package let connections: Int?
    package let parkedCalls: Int?
    /// Calls by name, the most frequent first, with calls a second.
    package let busiest: [(name: String, perSecond: Double)]
    /// Why it has no rates; nil: it has, or an earlier look is missing.
    package let problem: String?
  }

  package let cluster: RingstoreClusterDescription
  package let rows: [Row]

  package init(before: TopLook, now: TopLook) {
    cluster = now.cluster
    let elapsed = before.time.duration(to: now.time).components
    let seconds = Double(elapsed.seconds) + Double(elapsed.attoseconds) / 1e18
    rows = now.nodes.map { one in
      let earlier = before.nodes.first {
        $0.node.id == one.node.id && $0.node.role == one.node.role
          && $0.node.incarnation == one.node.incarnation
      }
      return Self.row(one, earlier, seconds: seconds)
    }
  }

  private static func row(
    _ now: TopLook.Node, _ earlier: TopLook.Node?, seconds: Double
  ) -> Row {
    let before = earlier?.counters ?? [:]
    let prefix = now.node.role == .router ? "ringstore_router_" : "ringstore_"
    func rate(_ name: String) -> Double? {
      guard let new = now.counters[prefix + name], let old = before[prefix + name], new >= old,
        seconds > 0
      else { return nil }
      return (Double(new) - Double(old)) / seconds
    }
    let calls = now.counters.keys.compactMap { name -> (name: String, perSecond: Double)? in
      guard name.hasPrefix(prefix + "calls_"), name.hasSuffix("_total") else { return nil }
      let call = String(name.dropFirst(prefix.count))
      guard call != "calls_total", let perSecond = rate(call), perSecond > 0 else { return nil }
      return (String(call.dropFirst("calls_".count).dropLast("_total".count)), perSecond)
    }
    let busiest = calls.sorted { ($1.perSecond, $0.name) < ($0.perSecond, $1.name) }
    return Row(
      node: now.node, callsPerSecond: rate("calls_total"), errorsPerSecond: rate("errors_total"),
      durations: DurationCounts(
        between: earlier?.node.durations ?? now.node.durations, and: now.node.durations),
      evictedPerSecond: rate("evicted_keys_total"), expiredPerSecond: rate("expired_keys_total"),
      connections: now.counters[prefix + "connections_open"],
      parkedCalls: now.counters[prefix + "parked_calls"],
      busiest: Array(busiest.prefix(busiestMax)), problem: now.problem)
  }

  /// - Parameter columns: its maximum width. Columns that don't fit are left out and named below;
  ///   the last one, and other lines, are cut off.
  package func text(columns: Int) -> String {
    var cells = [Self.columns]
    for row in rows {
      let isShard = row.node.role == .shard
      let isKnown = row.node.state != .unreachable
      cells.append([
        row.node.id, row.node.state.rawValue, Self.shown(row.callsPerSecond),
        Self.shown(row.errorsPerSecond), Self.shown(row.durations.quantileNanos(0.5)),
        Self.shown(row.durations.quantileNanos(0.99)),
        isShard && isKnown ? "\(row.node.keys)" : "",
        isKnown ? ClusterTable.memory(of: row.node) : "",
        row.connections.map { "\($0)" } ?? "", row.parkedCalls.map { "\($0)" } ?? "",
        isShard ? Self.shown(row.evictedPerSecond) : "",
        isShard ? Self.shown(row.expiredPerSecond) : "",
        row.busiest.map { "\($0.name) \(Self.shown($0.perSecond))" }.joined(separator: ", "),
      ])
    }
    var lines = [VisibleText.line("cluster \(cluster.cluster), slot map epoch \(cluster.epoch)")]
    lines += Self.aligned(cells, columns: columns)
    lines += problems
    for row in rows where !row.node.detail.isEmpty {
      lines.append(VisibleText.line("\(row.node.id): \(row.node.detail)"))
    }
    return lines.map { String($0.prefix(columns)) }.joined(separator: "\n")
  }

  /// As many of the columns as fit, and a line that names the others.
  private static func aligned(_ cells: [[String]], columns: Int) -> [String] {
    for count in stride(from: Self.columns.count, to: 1, by: -1) {
      let lines = ClusterTable.aligned(cells.map { Array($0.prefix(count)) })
      // Of the last column, the names may be cut.
      let width = count == Self.columns.count ? lines[0].count : lines.map(\.count).max() ?? 0
      guard width <= columns else { continue }
      let hidden = Self.columns.dropFirst(count)
      return hidden.isEmpty
        ? lines : lines + ["(a wider terminal also shows \(hidden.joined(separator: ", ")))"]
    }
    return ClusterTable.aligned(cells)
  }

  /// Why nodes have no rates: one line if it is the same for all of them. A node that isn't reached
  /// has a line about that.
  private var problems: [String] {
    let found = rows.compactMap { row -> (id: String, problem: String)? in
      guard row.node.detail.isEmpty, let problem = row.problem else { return nil }
      return (row.node.id, problem)
    }
    guard let first = found.first else { return [] }
    if found.count == rows.count, found.allSatisfy({ $0.problem == first.problem }) {
      return [VisibleText.line("no rates: \(first.problem)")]
    }
    return found.map { VisibleText.line("\($0.id): no rates: \($0.problem)") }
  }

  private static func shown(_ rate: Double?) -> String {
    guard let rate else { return "" }
    // Whatever a node sends.
    guard let tenths = Int(exactly: (rate * 10).rounded()) else { return "\(rate)" }
    if rate >= 100 { return "\(Int(rate.rounded()))" }
    return tenths % 10 == 0 ? "\(tenths / 10)" : "\(tenths / 10).\(tenths % 10)"
  }

  /// "256 us", "1.3 ms", "2.1 s".
  private static func shown(_ nanos: UInt64?) -> String {
    guard let nanos else { return "" }
    if nanos < 1_000_000 { return "\(nanos / 1_000) us" }
    let (tenths, unit) =
      nanos < 1_000_000_000 ? (nanos / 100_000, "ms") : (nanos / 100_000_000, "s")
    return "\(tenths / 10).\(tenths % 10) \(unit)"
  }

  package var json: JSONValue {
    func micros(_ row: Row, _ part: Double) -> JSONValue {
      row.durations.quantileNanos(part).map { .integer(Int64(clamping: $0 / 1_000)) } ?? .null
    }
    func number(_ rate: Double?) -> JSONValue { rate.map { .number($0) } ?? .null }
    func integer(_ count: Int?) -> JSONValue { count.map { .integer(Int64($0)) } ?? .null }
    let nodes = rows.map { row in
      JSONValue.object([
        .init("id", .string(row.node.id)), .init("role", .string(row.node.role.rawValue)),
        .init("state", .string(row.node.state.rawValue)),
        .init("calls_per_second", number(row.callsPerSecond)),
        .init("errors_per_second", number(row.errorsPerSecond)),
        .init("p50_micros", micros(row, 0.5)), .init("p99_micros", micros(row, 0.99)),
        .init("evicted_per_second", number(row.evictedPerSecond)),
        .init("expired_per_second", number(row.expiredPerSecond)),
        .init("keys", .integer(Int64(row.node.keys))),
        .init("memory_bytes", .integer(Int64(row.node.memoryBytes))),
        .init("memory_limit_bytes", integer(row.node.memoryLimitBytes)),
        .init("connections", integer(row.connections)),
        .init("waiting_calls", integer(row.parkedCalls)),
        .init(
          "busiest_calls",
          .array(
            row.busiest.map {
              .object([
                .init("call", .string($0.name)), .init("per_second", .number($0.perSecond)),
              ])
            })),
        .init("no_rates_because", row.problem.map { .string($0) } ?? .null),
      ])
    }
    return .object([
      .init("cluster", .string(cluster.cluster)),
      .init("epoch", .integer(Int64(clamping: cluster.epoch))), .init("nodes", .array(nodes)),
    ])
  }
}

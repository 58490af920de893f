// `ringstore admin top`: what each node does, from the difference of two readings of its counters.
// On a terminal the table is redrawn in its place; elsewhere each reading is a block of lines, or
// with --json a value on a line.

import Glibc
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
        isWritten = Terminal.write("\u{1b}[H\u{1b}[2J" + text + "\n")
      } else {
        isWritten = Terminal.write(table.text(columns: .max) + "\n\n")
      }
      // The end of the program says so, where it matters.
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
      let counters = try? await client.stats(ofNode: one.id, options: options)
      nodes.append(.init(node: one, counters: counters ?? [:]))
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

    package init(node: RingstoreClusterDescription.Node, counters: [String: Int]) {
      self.node = node
      self.counters = counters
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
    "NODE", "STATE", "CALLS/S", "ERRORS/S", "KEYS", "MEMORY", "CONNECTIONS", "WAITING", "EVICTED/S",
    "EXPIRED/S", "BUSIEST CALLS",
  ]
  private static let busiestMax = 3

  package struct Row {
    package let node: RingstoreClusterDescription.Node
    /// Nil: the node could not be queried both times, or was started in between.
    package let callsPerSecond: Double?
    package let errorsPerSecond: Double?
    package let evictedPerSecond: Double?
    package let expiredPerSecond: Double?
    package let connections: Int?
    package let parkedCalls: Int?
    /// Calls by name, the most frequent first, with calls a second.
    package let busiest: [(name: String, perSecond: Double)]
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
      return Self.row(one, earlier?.counters ?? [:], seconds: seconds)
    }
  }

  private static func row(
    _ now: TopLook.Node, _ before: [String: Int], seconds: Double
  ) -> Row {
    let prefix = now.node.role == .router ? "ringstore_router_" : "ringstore_"
    func rate(_ name: String) -> Double? {
      guard let new = now.counters[prefix + name], let old = before[prefix + name], new >= old,
        seconds > 0
      else { return nil }
      return Double(new - old) / seconds
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
      evictedPerSecond: rate("evicted_keys_total"), expiredPerSecond: rate("expired_keys_total"),
      connections: now.counters[prefix + "connections_open"],
      parkedCalls: now.counters[prefix + "parked_calls"],
      busiest: Array(busiest.prefix(busiestMax)))
  }

  /// - Parameter columns: its maximum width: the rest is cut off.
  package func text(columns: Int) -> String {
    var cells = [Self.columns]
    for row in rows {
      let isShard = row.node.role == .shard
      let isKnown = row.node.state != .unreachable
      cells.append([
        row.node.id, row.node.state.rawValue, Self.shown(row.callsPerSecond),
        Self.shown(row.errorsPerSecond), isShard && isKnown ? "\(row.node.keys)" : "",
        isKnown ? ClusterTable.memory(row.node.memoryBytes) : "",
        row.connections.map { "\($0)" } ?? "", row.parkedCalls.map { "\($0)" } ?? "",
        isShard ? Self.shown(row.evictedPerSecond) : "",
        isShard ? Self.shown(row.expiredPerSecond) : "",
        row.busiest.map { "\($0.name) \(Self.shown($0.perSecond))" }.joined(separator: ", "),
      ])
    }
    var lines = ["cluster \(cluster.cluster), slot map epoch \(cluster.epoch)"]
    lines += ClusterTable.aligned(cells)
    for row in rows where !row.node.detail.isEmpty {
      lines.append("\(row.node.id): \(row.node.detail)")
    }
    return lines.map { String($0.prefix(columns)) }.joined(separator: "\n")
  }

  private static func shown(_ rate: Double?) -> String {
    guard let rate else { return "" }
    if rate >= 100 { return "\(Int(rate.rounded()))" }
    let tenths = Int((rate * 10).rounded())
    return tenths % 10 == 0 ? "\(tenths / 10)" : "\(tenths / 10).\(tenths % 10)"
  }

  package var json: JSONValue {
    func number(_ rate: Double?) -> JSONValue { rate.map { .number($0) } ?? .null }
    func integer(_ count: Int?) -> JSONValue { count.map { .integer(Int64($0)) } ?? .null }
    let nodes = rows.map { row in
      JSONValue.object([
        .init("id", .string(row.node.id)), .init("role", .string(row.node.role.rawValue)),
        .init("state", .string(row.node.state.rawValue)),
        .init("calls_per_second", number(row.callsPerSecond)),
        .init("errors_per_second", number(row.errorsPerSecond)),
        .init("evicted_per_second", number(row.evictedPerSecond)),
        .init("expired_per_second", number(row.expiredPerSecond)),
        .init("keys", .integer(Int64(row.node.keys))),
        .init("memory_bytes", .integer(Int64(row.node.memoryBytes))),
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
      ])
    }
    return .object([
      .init("cluster", .string(cluster.cluster)),
      .init("epoch", .integer(Int64(clamping: cluster.epoch))), .init("nodes", .array(nodes)),
    ])
  }
}

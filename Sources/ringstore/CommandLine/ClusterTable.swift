// Describe's reply as a table for people, and as JSON for programs. Pure, any thread.

import RingstoreClient
import TextForms

package enum ClusterTable {
  private static let slots = 16_384
  private static let columns = [
    "NODE", "ROLE", "STATE", "ADDRESS", "VERSION", "UPTIME", "WEIGHT", "SLOTS", "SHARE", "KEYS",
    "MEMORY", "BYTES",
  ]

  /// The columns that are dropped first if the table is wider than the terminal.
  private static let dispensable = [
    "BYTES", "VERSION", "WEIGHT", "UPTIME", "ADDRESS", "SHARE", "ROLE",
  ]

  /// - Parameter columns: how wide it may be; node, state, slots, keys and memory stay anyway.
  package static func text(
    _ cluster: RingstoreClusterDescription, columns width: Int = .max
  ) -> String {
    var rows = [columns]
    for node in cluster.nodes {
      let shard = shard(of: node, in: cluster)
      // For a node that doesn't reply, only the map's data is known.
      let isKnown = node.state != .unreachable
      rows.append([
        node.id, node.role.rawValue, node.state.rawValue, node.address, node.version,
        isKnown ? uptime(node.uptime) : "", shard.map { weight($0.weight) } ?? "",
        shard.map { "\($0.slots)" } ?? "", shard.map { share($0.slots) } ?? "",
        isKnown && node.role == .shard ? "\(node.keys)" : "",
        isKnown ? memory(of: node) : "", isKnown ? "\(node.memoryBytes)" : "",
      ])
    }
    if cluster.shards.count > 1 { rows.append(total(cluster)) }
    var lines = [VisibleText.line("cluster \(cluster.cluster), slot map epoch \(cluster.epoch)")]
    lines += narrowed(rows, width)
    for node in cluster.nodes where !node.detail.isEmpty {
      lines.append(VisibleText.line("\(node.id): \(node.detail)"))
    }
    return lines.joined(separator: "\n")
  }

  /// The rows as lines, with as many columns as fit.
  private static func narrowed(_ rows: [[String]], _ width: Int) -> [String] {
    var rows = rows
    var lines = aligned(rows)
    for name in dispensable where lines.contains(where: { $0.count > width }) {
      guard let place = rows[0].firstIndex(of: name) else { continue }
      for row in rows.indices { rows[row].remove(at: place) }
      lines = aligned(rows)
    }
    return lines
  }

  package static func json(_ cluster: RingstoreClusterDescription) -> JSONValue {
    let nodes = cluster.nodes.map { node in
      let shard = shard(of: node, in: cluster)
      let (seconds, attoseconds) = node.uptime.components
      let isKnown = node.state != .unreachable
      return JSONValue.object([
        .init("id", .string(node.id)), .init("role", .string(node.role.rawValue)),
        .init("state", .string(node.state.rawValue)), .init("address", .string(node.address)),
        .init("version", .string(node.version)),
        .init(
          "uptime_ms",
          isKnown ? .integer(seconds * 1_000 + attoseconds / 1_000_000_000_000_000) : .null),
        // As text: it uses all 64 bits, and most readers of JSON keep 53 of a number's.
        .init(
          "incarnation", node.incarnation == 0 ? .null : .string("\(node.incarnation)")),
        .init("weight", shard.map { .number($0.weight) } ?? .null),
        .init("slots", shard.map { .integer(Int64($0.slots)) } ?? .null),
        .init("keys", isKnown ? .integer(Int64(node.keys)) : .null),
        .init("memory_bytes", isKnown ? .integer(Int64(node.memoryBytes)) : .null),
        .init("memory_limit_bytes", node.memoryLimitBytes.map { .integer(Int64($0)) } ?? .null),
        .init("errors", isMeasured(node) ? .integer(Int64(clamping: node.errors)) : .null),
        .init(
          "durations",
          isMeasured(node) ? .array(node.durations.map { .integer(Int64(clamping: $0)) }) : .null),
        .init("lineage", shard?.lineage.map(json) ?? .null),
        .init("detail", .string(node.detail)),
      ])
    }
    return .object([
      .init("cluster", .string(cluster.cluster)),
      .init("epoch", .integer(Int64(clamping: cluster.epoch))),
      .init("nodes", .array(nodes)),
    ])
  }

  /// Whether the node has reported its calls.
  private static func isMeasured(_ node: RingstoreClusterDescription.Node) -> Bool {
    node.role == .shard && node.state != .unreachable
  }

  private static func json(_ lineage: RingstoreClusterDescription.Lineage) -> JSONValue {
    .object([
      .init("id", lineage.id.isEmpty ? .null : .string(Hexadecimal.text(lineage.id))),
      .init("accepted_losses", .integer(Int64(clamping: lineage.acceptedLosses))),
      .init("disputed", .bool(lineage.isDisputed)),
    ])
  }

  private static func shard(
    of node: RingstoreClusterDescription.Node, in cluster: RingstoreClusterDescription
  ) -> RingstoreClusterDescription.Shard? {
    node.role == .shard ? cluster.shards.first { $0.id == node.id } : nil
  }

  /// The shards' totals; the keys of an unreachable shard are not included.
  private static func total(_ cluster: RingstoreClusterDescription) -> [String] {
    let shards = cluster.nodes.filter { $0.role == .shard }
    let slots = cluster.shards.reduce(0) { $0 + $1.slots }
    let keys = shards.reduce(0) { $0 &+ $1.keys }
    let bytes = shards.reduce(0) { $0 &+ $1.memoryBytes }
    return [
      "all shards", "", "", "", "", "", "", "\(slots)", share(slots), "\(keys)", memory(bytes),
      "\(bytes)",
    ]
  }

  private static func weight(_ weight: Double) -> String {
    Int(exactly: weight).map { "\($0)" } ?? "\(weight)"
  }

  /// In percent with one decimal.
  private static func share(_ slots: Int) -> String {
    let tenths = (slots * 1_000 + Self.slots / 2) / Self.slots
    return "\(tenths / 10).\(tenths % 10)%"
  }

  /// The two largest units: "45s", "3m 20s", "2h 5m", "3d 4h".
  package static func uptime(_ uptime: Duration) -> String {
    let seconds = uptime.components.seconds
    let units: [(name: String, seconds: Int64)] = [("d", 86_400), ("h", 3_600), ("m", 60)]
    for (place, unit) in units.enumerated() where seconds >= unit.seconds {
      let smaller = place + 1 < units.count ? units[place + 1] : (name: "s", seconds: 1)
      let rest = seconds % unit.seconds / smaller.seconds
      return "\(seconds / unit.seconds)\(unit.name) \(rest)\(smaller.name)"
    }
    return "\(seconds)s"
  }

  /// What a node holds, and what it may where that is limited: "3.4 MiB of 64.0 MiB".
  package static func memory(of node: RingstoreClusterDescription.Node) -> String {
    let limit = node.memoryLimitBytes.map { " of \(memory($0))" }
    return memory(node.memoryBytes) + (limit ?? "")
  }

  /// With one digit behind the point from 1 KiB on: "512 B", "3.4 MiB".
  package static func memory(_ bytes: Int) -> String {
    guard bytes >= 1_024 else { return "\(bytes) B" }
    var tenths = bytes / 1_024 * 10 + bytes % 1_024 * 10 / 1_024
    for unit in ["KiB", "MiB", "GiB"] {
      if tenths < 10_240 { return "\(tenths / 10).\(tenths % 10) \(unit)" }
      tenths /= 1_024
    }
    return "\(tenths / 10).\(tenths % 10) TiB"
  }

  /// The padding of a whole table in columns, about: one long cell above a million short ones must
  /// not cost gigabytes. Cells longer than that leaves stand out of their columns.
  private static let paddingMax = 16 << 20

  /// Columns as wide as their widest cell, two blanks apart. Empty cells are shown as "-".
  package static func aligned(_ rows: [[String]]) -> [String] {
    let cells = rows.map { $0.map { $0.isEmpty ? "-" : VisibleText.line($0) } }
    let columns = cells.map(\.count).max() ?? 0
    let widthMax = max(paddingMax / max(rows.count * columns, 1), 8)
    let widths = (0..<columns).map { column in
      min(cells.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0, widthMax)
    }
    return cells.map { row in
      row.enumerated().map { column, cell in
        column == row.count - 1
          ? cell : cell + String(repeating: " ", count: max(widths[column] - cell.count, 0))
      }.joined(separator: "  ")
    }
  }
}

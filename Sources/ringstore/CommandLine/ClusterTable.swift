// Describe's answer as a table for people.

import RingstoreClient

package enum ClusterTable {
  package static func text(_ cluster: RingstoreClusterDescription) -> String {
    var rows = [
      ["NODE", "ROLE", "STATE", "ADDRESS", "VERSION", "UPTIME", "SLOTS", "WEIGHT", "KEYS", "BYTES"]
    ]
    for node in cluster.nodes {
      let shard = node.role == .shard ? cluster.shards.first { $0.id == node.id } : nil
      rows.append([
        node.id, node.role.rawValue, node.state.rawValue, node.address, node.version,
        "\(node.uptime.components.seconds)s", shard.map { "\($0.slots)" } ?? "-",
        shard.map { weight($0.weight) } ?? "-", "\(node.keys)", "\(node.memoryBytes)",
      ])
    }
    var lines = ["cluster \(cluster.cluster), slot map epoch \(cluster.epoch)"] + aligned(rows)
    for node in cluster.nodes where !node.detail.isEmpty {
      lines.append("\(node.id): \(node.detail)")
    }
    return lines.joined(separator: "\n")
  }

  private static func weight(_ weight: Double) -> String {
    Int(exactly: weight).map { "\($0)" } ?? "\(weight)"
  }

  /// Columns as wide as their widest cell, two blanks apart. Empty cells are shown as "-".
  package static func aligned(_ rows: [[String]]) -> [String] {
    let cells = rows.map { $0.map { $0.isEmpty ? "-" : $0 } }
    let columns = cells.map(\.count).max() ?? 0
    let widths = (0..<columns).map { column in
      cells.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0
    }
    return cells.map { row in
      row.enumerated().map { column, cell in
        column == row.count - 1
          ? cell : cell + String(repeating: " ", count: widths[column] - cell.count)
      }.joined(separator: "  ")
    }
  }
}

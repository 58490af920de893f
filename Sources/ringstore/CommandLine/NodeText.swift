// One node's data about itself, as text for people and as JSON for programs. Pure, any thread.

import RingstoreClient
import TextForms

package enum NodeText {
  // MARK: - Connections

  package static func text(_ report: RingstoreConnections) -> String {
    var rows = [["ID", "KIND", "ADDRESS", "USER", "TLS", "AGE", "IDLE", "OPEN", "CALLS", "HELD"]]
    for one in report.connections {
      rows.append([
        "\(one.id)", one.kind, one.address, one.user, one.isEncrypted ? "yes" : "no",
        ClusterTable.uptime(one.age), ClusterTable.uptime(one.idle), "\(one.openCalls)",
        "\(one.calls)", ClusterTable.memory(one.heldBytes),
      ])
    }
    let left = report.total - report.connections.count
    let more = left > 0 ? ["and \(left) more"] : []
    return (ClusterTable.aligned(rows) + more).joined(separator: "\n")
  }

  package static func json(_ report: RingstoreConnections) -> JSONValue {
    let connections = report.connections.map { one in
      JSONValue.object([
        .init("id", .string("\(one.id)")), .init("kind", .string(one.kind)),
        .init("address", .string(one.address)), .init("user", .string(one.user)),
        .init("encrypted", .bool(one.isEncrypted)), .init("age_ms", .integer(millis(one.age))),
        .init("idle_ms", .integer(millis(one.idle))),
        .init("open_calls", .integer(Int64(one.openCalls))),
        .init("calls", .integer(Int64(one.calls))),
        .init("held_bytes", .integer(Int64(one.heldBytes))),
      ])
    }
    return .object([
      .init("connections", .array(connections)), .init("total", .integer(Int64(report.total))),
    ])
  }

  private static func millis(_ duration: Duration) -> Int64 {
    let (seconds, attoseconds) = duration.components
    return seconds * 1_000 + attoseconds / 1_000_000_000_000_000
  }

  // MARK: - The level of the log

  package static func text(_ level: RingstoreLogLevel) -> String {
    VisibleText.line(
      level.inForce == level.configured
        ? level.inForce : "\(level.inForce) (the node was started with \(level.configured))")
  }

  package static func json(_ level: RingstoreLogLevel) -> JSONValue {
    .object([
      .init("level", .string(level.inForce)), .init("configured", .string(level.configured)),
    ])
  }
}

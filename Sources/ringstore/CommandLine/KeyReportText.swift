// Hot and big keys as tables for people, and as JSON for programs. Pure, any thread.

import RingstoreClient
import TextForms

package enum KeyReportText {
  // MARK: - Hot keys

  package static func text(_ report: RingstoreKeyReport<[RingstoreHotKey]>) -> String {
    var rows = [["CALLS/S", "SHARE", "SAMPLES", "SHARD", "SLOT", "DATABASE", "KEY"]]
    for key in report.found {
      rows.append([
        decimal(key.callsPerSecond), decimal(key.share * 100) + "%", decimal(key.samples),
        key.shard, "\(key.slot)", "\(key.database)", ShownReply.quoted(key.key),
      ])
    }
    let lines = report.found.isEmpty ? ["no calls were sampled"] : ClusterTable.aligned(rows)
    return (lines + missing(report.unreachable)).joined(separator: "\n")
  }

  package static func json(_ report: RingstoreKeyReport<[RingstoreHotKey]>) -> JSONValue {
    let keys = report.found.map { key in
      JSONValue.object([
        .init("key", .bytes(key.key)), .init("database", .integer(Int64(key.database))),
        .init("slot", .integer(Int64(key.slot))), .init("shard", .string(key.shard)),
        .init("calls_per_second", .number(key.callsPerSecond)),
        .init("share", .number(key.share)), .init("samples", .number(key.samples)),
      ])
    }
    return .object([.init("keys", .array(keys)), unreachable(report.unreachable)])
  }

  // MARK: - Big keys

  package static func text(_ report: RingstoreKeyReport<[RingstoreBigKeys]>) -> String {
    var lines: [String] = []
    for type in report.found {
      let mean = type.keys > 0 ? type.bytes / type.keys : 0
      lines.append(
        "\(type.type.name): \(type.keys) keys, \(ClusterTable.memory(type.bytes)), "
          + "\(ClusterTable.memory(mean)) each on average")
      lines += table("by memory", type.byBytes)
      if !type.byLength.isEmpty { lines += table("by number of values", type.byLength) }
    }
    if lines.isEmpty { lines = ["no keys"] }
    return (lines + missing(report.unreachable)).joined(separator: "\n")
  }

  private static func table(_ title: String, _ keys: [RingstoreBigKey]) -> [String] {
    var rows = [["BYTES", "LENGTH", "SHARD", "SLOT", "DATABASE", "KEY"]]
    for key in keys {
      rows.append([
        "\(key.bytes)", "\(key.length)", key.shard, "\(key.slot)", "\(key.database)",
        ShownReply.quoted(key.key),
      ])
    }
    return ["  " + title] + ClusterTable.aligned(rows).map { "    " + $0 }
  }

  package static func json(_ report: RingstoreKeyReport<[RingstoreBigKeys]>) -> JSONValue {
    let types = report.found.map { type in
      JSONValue.object([
        .init("type", .string(type.type.name)), .init("keys", .integer(Int64(type.keys))),
        .init("bytes", .integer(Int64(type.bytes))),
        .init("by_bytes", .array(type.byBytes.map { json($0) })),
        .init("by_length", .array(type.byLength.map { json($0) })),
      ])
    }
    return .object([.init("types", .array(types)), unreachable(report.unreachable)])
  }

  private static func json(_ key: RingstoreBigKey) -> JSONValue {
    .object([
      .init("key", .bytes(key.key)), .init("database", .integer(Int64(key.database))),
      .init("slot", .integer(Int64(key.slot))), .init("shard", .string(key.shard)),
      .init("bytes", .integer(Int64(key.bytes))), .init("length", .integer(Int64(key.length))),
    ])
  }

  // MARK: - Both

  static func missing(_ errors: [RingstoreError]) -> [String] {
    errors.map { VisibleText.line("missing: shard \($0.shard ?? "?"): \($0.message)") }
  }

  static func unreachable(_ errors: [RingstoreError]) -> JSONValue.Member {
    .init("unreachable", .array(errors.map(\.json)))
  }

  /// With one decimal.
  private static func decimal(_ number: Double) -> String {
    // Whatever a node sends.
    guard let tenths = Int(exactly: (number * 10).rounded()) else { return "\(number)" }
    return "\(tenths / 10).\(tenths % 10)"
  }
}

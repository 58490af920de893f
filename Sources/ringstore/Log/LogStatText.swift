// The figures of a data directory, for people and as JSON. Pure, any thread.

import Log
import LogFiles
import TextForms

package struct LogStatText {
  private let statistics: LogStatistics

  package init(_ statistics: LogStatistics) { self.statistics = statistics }

  package var text: String {
    let all = statistics
    var lines = [
      "shard \"\(all.owner.shard)\" of cluster \"\(all.owner.cluster)\"",
      "log: \(Self.size(all.logBytes)) of batches, positions \(all.begin ?? 0) to "
        + "\(all.end ?? 0), segments: \(all.segments)",
    ]
    if all.passes > 0 { lines.append("passes: \(Self.size(all.passBytes)), files: \(all.passes)") }
    if let pass = all.newestPass, let end = pass.passEnd {
      lines.append(
        "newest pass: \(pass.file.name.text), \(end.keys) keys, images up to position "
          + "\(end.lastAsOf), \(Self.size(pass.batchBytes))")
    } else {
      lines.append("newest pass: none")
    }
    lines += table + [ratio, recovery]
    if all.asideFiles > 0 {
      lines.append("set aside by cuts: \(Self.size(all.asideBytes)), files: \(all.asideFiles)")
    }
    lines.append("on disk with allocated space: \(Self.size(all.diskBytes))")
    return lines.joined(separator: "\n")
  }

  private var table: [String] {
    var rows = [["KIND", "RECORDS", "BYTES"]]
    for kind in statistics.kinds {
      rows.append([RecordType.name(of: kind.type), "\(kind.count.records)", "\(kind.count.bytes)"])
    }
    rows.append(["heads", "\(statistics.batches) batches", "\(statistics.headBytes)"])
    return ClusterTable.aligned(rows).map { "  " + $0 }
  }

  private var ratio: String {
    guard let ratio = statistics.liveRatio else {
      return "live ratio: unknown, as there is no pass yet"
    }
    let percent = Int((ratio * 100).rounded())
    return "live ratio: \(percent) % (the newest pass, of all batches)"
  }

  private var recovery: String {
    let tenths = Int((statistics.recoverySeconds * 10).rounded(.up))
    return "a start takes about \(tenths / 10).\(tenths % 10) s, calculated with "
      + "\(LogStatistics.nanosPerKey) ns for each of \(statistics.keysToRead) keys, "
      + "\(LogStatistics.nanosPerEffect) ns for each of \(statistics.effectsToRead) changes, and a "
      + "disk that reads \(LogStatistics.bytesPerSecond >> 20) MiB a second"
  }

  private static func size(_ bytes: UInt64) -> String { ClusterTable.memory(Int(clamping: bytes)) }

  package var json: JSONValue {
    func number(_ value: UInt64) -> JSONValue { .integer(Int64(clamping: value)) }
    let all = statistics
    let kinds = all.kinds.map { kind in
      JSONValue.object([
        .init("type", .string(RecordType.name(of: kind.type))),
        .init("records", .integer(Int64(kind.count.records))),
        .init("bytes", number(kind.count.bytes)),
      ])
    }
    let pass = all.newestPass.flatMap { pass in
      pass.passEnd.map { end in
        JSONValue.object([
          .init("file", .string(pass.file.name.text)), .init("begin", number(pass.file.position)),
          .init("last_as_of", number(end.lastAsOf)), .init("keys", number(end.keys)),
          .init("bytes", number(pass.batchBytes)),
        ])
      }
    }
    return .object([
      .init("cluster", .string(all.owner.cluster)), .init("shard", .string(all.owner.shard)),
      .init("segments", .integer(Int64(all.segments))), .init("log_bytes", number(all.logBytes)),
      .init("begin", all.begin.map(number) ?? .null), .init("end", all.end.map(number) ?? .null),
      .init("passes", .integer(Int64(all.passes))), .init("pass_bytes", number(all.passBytes)),
      .init("newest_pass", pass ?? .null), .init("kinds", .array(kinds)),
      .init("batches", .integer(Int64(all.batches))), .init("head_bytes", number(all.headBytes)),
      .init("live_ratio", all.liveRatio.map { .number($0) } ?? .null),
      .init("start_seconds", .number(all.recoverySeconds)),
      .init("aside_bytes", number(all.asideBytes)), .init("disk_bytes", number(all.diskBytes)),
    ])
  }
}

// What a verification has found, for people and as JSON. Pure, any thread.

import Log
import LogFiles
import Store
import TextForms

package struct LogVerdictText {
  /// The state at the log's end.
  package struct State: Sendable, Equatable {
    package let keys: Int
    /// The sum of the digests of all slots.
    package let digest: UInt64

    package init(_ store: Store) {
      keys = store.totalKeyCount
      var walk = DigestWalk()
      var sum: UInt64 = 0
      while !store.advance(&walk, work: 1 << 24, { sum &+= $0.value ?? 0 }) {}
      digest = sum
    }

    var digits: String { LogFields.Value(bits: digest).text }
  }

  private let verdict: LogVerdict
  private let directory: String
  private let state: State?

  package init(_ verdict: LogVerdict, directory: String, state: State?) {
    self.verdict = verdict
    self.directory = directory
    self.state = state
  }

  package var verdictLine: String {
    if verdict.isUnsettled { return "nothing is certain" }
    switch verdict.findings.count {
    case 0: return "sound"
    case 1: return "1 thing is wrong"
    case let count: return "\(count) things are wrong"
    }
  }

  // MARK: - Text

  package var text: String {
    var lines = [identity] + files
    if let begin = verdict.begin, let end = verdict.end {
      let how =
        verdict.replay == .done ? "replayed from" : "checksums only, nothing was replayed, from"
      lines.append("\(how) position \(begin) to \(end)")
    }
    for pass in verdict.compared {
      lines.append("\(pass.text) is equal to the log replayed up to it")
    }
    if let torn = verdict.torn { lines.append("\(torn) A start cuts that off: it is not a fault.") }
    for finding in verdict.findings { lines += self.lines(of: finding) }
    if let state { lines.append("\(state.keys) keys, digest \(state.digits)") }
    return (lines + [verdictLine]).joined(separator: "\n")
  }

  private var identity: String {
    let owner = verdict.owner
    var line = "shard \"\(owner.shard)\" of cluster \"\(owner.cluster)\""
    if let lineage = verdict.lineage { line += ", lineage \(Self.text(lineage))" }
    if verdict.isInUse { line += ", in use by a shard" }
    return line
  }

  static func text(_ lineage: Lineage) -> String {
    LogFields.Value(bits: lineage.high).text + LogFields.Value(bits: lineage.low).text
  }

  private var files: [String] {
    verdict.files.map { file in
      let scan = file.scan
      var line = "\(scan.file.name.text): \(scan.batches) batches"
      if scan.file.header.kind == .log {
        line += ", positions \(scan.file.position) to \(scan.end)"
      } else if let end = scan.passEnd {
        line += ", \(end.keys) keys, images up to position \(end.lastAsOf)"
      }
      return line + (file.isNeeded ? "" : ", not needed by a start")
    }
  }

  private func lines(of finding: LogFinding) -> [String] {
    ["WRONG: " + finding.refusal.reason, "  " + Self.meaning(of: finding)]
      + advice(finding).map { ["  " + $0] }.joined()
  }

  private static func meaning(of finding: LogFinding) -> String {
    switch finding.refusal {
    case .mixed, .newerFormat, .fewerDatabases: "A shard doesn't start."
    case .missing: "A shard doesn't start: the log alone doesn't contain all keys."
    default:
      finding.stopsStart
        ? "A shard doesn't start. Bytes changed after they had been written: by the disk, the file "
          + "system or another program."
        : "A shard still starts: it doesn't need this. But bytes changed after they had "
          + "been written, or the shard has written wrong data."
    }
  }

  private func advice(_ finding: LogFinding) -> [String] {
    switch finding.cut {
    case .success(let plan)?:
      [
        "`ringstore log cut \(directory) --at \(plan.position)` would keep the log before it and "
          + "lay \(plan.bytes) bytes aside, \(plan.batches) intact batches with \(plan.effects) "
          + "changes.",
        "Or restore the directory from a backup.",
      ]
    case .failure(let refusal)?:
      ["A cut doesn't help: \(refusal)"]
    case nil where finding.stopsStart: ["A cut doesn't help here; restore it from a backup."]
    case nil: []
    }
  }

  // MARK: - JSON

  package var json: JSONValue {
    .object([
      .init("sound", .bool(verdict.isSound)), .init("in_use", .bool(verdict.isInUse)),
      .init("cluster", .string(verdict.owner.cluster)),
      .init("shard", .string(verdict.owner.shard)),
      .init("lineage", verdict.lineage.map { .string(Self.text($0)) } ?? .null),
      .init("begin", position(verdict.begin)), .init("end", position(verdict.end)),
      .init("replayed", .bool(verdict.replay == .done)),
      .init("compared", .array(verdict.compared.map { .string($0.text) })),
      .init("torn", verdict.torn.map { .string($0) } ?? .null),
      .init("keys", state.map { .integer(Int64($0.keys)) } ?? .null),
      .init("digest", state.map { .string($0.digits) } ?? .null),
      .init("findings", .array(verdict.findings.map(json))),
    ])
  }

  private func position(_ position: LogPosition?) -> JSONValue {
    position.map { .integer(Int64(clamping: $0)) } ?? .null
  }

  private func json(_ finding: LogFinding) -> JSONValue {
    var cutAt = JSONValue.null
    if case .success(let plan)? = finding.cut { cutAt = position(plan.position) }
    let place = finding.refusal.place
    return .object([
      .init("file", place.map { .string($0.file) } ?? .null),
      .init("offset", place.map { .integer(Int64(clamping: $0.offset)) } ?? .null),
      .init("what", .string(finding.refusal.reason)),
      .init("stops_start", .bool(finding.stopsStart)), .init("cut_at", cutAt),
      .init("advice", .array(advice(finding).map { .string($0) })),
    ])
  }
}

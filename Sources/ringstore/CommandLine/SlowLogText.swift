// The slow and the large calls of a node, as tables for people and as JSON for programs: the same
// names as on /slowlog of the admin port. Pure, any thread.

import RingstoreClient
import TextForms

package enum SlowLogText {
  private static let columns = [
    "ENDED", "DURATION", "COMMAND", "OUTCOME", "REQUEST", "REPLY", "SHARD", "SLOT", "DATABASE",
    "KEY",
  ]

  package static func text(_ log: RingstoreSlowLog) -> String {
    let slow = log.slowMillis.map { "calls that took \($0) ms or longer, the slowest first" }
    let large = log.largeBytes.map { "calls of \(size($0)) or more, the largest first" }
    var lines = table(slow ?? "slow calls are not kept (slowlog_millis is 0)", log.slowest)
    lines += table(large ?? "large calls are not kept (slowlog_bytes is 0)", log.largest)
    return lines.joined(separator: "\n")
  }

  private static func table(_ title: String, _ calls: [RingstoreSlowCall]) -> [String] {
    guard !calls.isEmpty else { return [title, "  none"] }
    let rows = [columns] + calls.map(cells)
    return [title] + ClusterTable.aligned(rows).map { "  " + $0 }
  }

  private static func cells(_ call: RingstoreSlowCall) -> [String] {
    [
      LogLine.timestamp(
        seconds: Int(call.unixMillis / 1_000), milliseconds: Int(call.unixMillis % 1_000)),
      call.duration.map { duration(micros($0)) } ?? "",
      call.isTick ? "\(call.calls) calls of a tick, most of them \(call.command)" : call.command,
      call.hasFailed ? "error" : "ok",
      call.isTick ? "" : size(Int64(call.requestBytes)),
      call.isTick ? "" : size(Int64(call.replyBytes)), call.shard,
      call.slot.map { "\($0)" } ?? "", call.database.map { "\($0)" } ?? "", key(call.key),
    ]
  }

  private static func key(_ key: RingstoreSlowCall.Key?) -> String {
    switch key {
    case .digest(let digest): "digest \(digest)"
    case .bytes(let bytes): ShownReply.quoted(bytes)
    case nil: ""
    }
  }

  private static func size(_ bytes: Int64) -> String { ClusterTable.memory(Int(bytes)) }

  private static func micros(_ duration: Duration) -> Int64 {
    let (seconds, attoseconds) = duration.components
    return seconds &* 1_000_000 &+ attoseconds / 1_000_000_000_000
  }

  /// "12.3 ms", "1.2 s".
  private static func duration(_ micros: Int64) -> String {
    let (whole, unit) = micros < 1_000_000 ? (micros / 100, "ms") : (micros / 100_000, "s")
    return "\(whole / 10).\(whole % 10) \(unit)"
  }

  // MARK: - JSON

  package static func json(_ log: RingstoreSlowLog) -> JSONValue {
    .object([
      .init("slow_millis", log.slowMillis.map { .integer($0) } ?? .null),
      .init("large_bytes", log.largeBytes.map { .integer($0) } ?? .null),
      .init("slowest", .array(log.slowest.map(json))),
      .init("largest", .array(log.largest.map(json))),
    ])
  }

  private static func json(_ call: RingstoreSlowCall) -> JSONValue {
    var members: [JSONValue.Member] = [
      .init("kind", .string(call.isTick ? "tick" : "call")),
      .init("unix_millis", .integer(call.unixMillis)),
      .init("command", call.command.isEmpty ? .null : .string(call.command)),
      .init("duration_micros", call.duration.map { .integer(micros($0)) } ?? .null),
      .init("outcome", .string(call.hasFailed ? "error" : "ok")),
    ]
    if call.isTick {
      members.append(.init("calls", .integer(Int64(call.calls))))
    } else {
      members.append(.init("request_bytes", .integer(Int64(call.requestBytes))))
      members.append(.init("reply_bytes", .integer(Int64(call.replyBytes))))
    }
    if !call.shard.isEmpty { members.append(.init("shard", .string(call.shard))) }
    if let slot = call.slot { members.append(.init("slot", .integer(Int64(slot)))) }
    if let database = call.database {
      members.append(.init("database", .integer(Int64(database))))
    }
    switch call.key {
    case .digest(let digest): members.append(.init("key_digest", .string(digest)))
    case .bytes(let key): members.append(.init("key", .bytes(key)))
    case nil: break
    }
    return .object(members)
  }
}

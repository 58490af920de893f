// /api/hotkeys and /api/slowlog. Any thread.

import Admin
import Commands
import MetricTypes
import NIOCore
import NodeCore
import RingstoreAPI
import TextForms
import Users

extension Dashboard {
  // MARK: - The keys that are looked up most often

  func hotKeys(
    _ request: AdminRequest, _ query: DashboardQuery
  ) async throws(CallError) -> JSONValue {
    let count = try query.number("count", 1...DashboardLimits.hotKeysMax, missing: 10)
    let reply: ByteBuffer = try await calls.perform(as: request.caller) { calls, tell in
      var message = ByteBuffer()
      V1.HotKeysRequest(count: count).write(into: &message)
      calls.call(.hotKeys, request: message, calls.pageContext()) { outcome in
        tell(outcome.flatMap(\.merged))
      }
    }
    return try reply.withUnsafeReadableBytes { (bytes) throws(CallError) in
      do throws(WireError) {
        return Self.json(try V1.HotKeysResponse(bytes))
      } catch {
        throw .internalError("The reply can't be decoded.")
      }
    }
  }

  private static func json(_ reply: V1.HotKeysResponse) -> JSONValue {
    .object([
      .init(
        "keys",
        .array(
          reply.keys.map { key in
            .object(
              JSONValue.members(ofKey: key.key) + [
                .init("database", .count(key.database)), .init("slot", .count(key.slot)),
                .init("shard", .text(key.shard)),
                .init("calls_per_second", .number(key.callsPerSecond)),
                .init("share", .number(key.share)), .init("samples", .number(key.samples)),
              ])
          })),
      .init("unreachable", .unreachable(reply.unreachable)),
    ])
  }

  // MARK: - Slow and large calls

  func slowCalls(for rules: KeyRules?) async -> JSONValue {
    var calls: [(node: String, call: SlowCall)] = []
    var all = SlowCalls()
    for (node, kept) in await slowCallsByNode.value() {
      let noted = kept.shown(to: rules)
      // One that is both is among the slow ones.
      let large = noted.large.filter { $0.durationNanos < noted.slowNanos }
      for kept in [noted.slow, large] {
        let latest = kept.sorted { $0.unixMillis > $1.unixMillis }
        calls += latest.prefix(DashboardLimits.slowCallsMax).map { (node, $0) }
      }
      all = all + noted
    }
    calls.sort { $0.call.unixMillis > $1.call.unixMillis }
    return .object([
      .init("slow_millis", all.slowMillis.map { .count($0) } ?? .null),
      .init("large_bytes", all.largeBytesMin.map { .count($0) } ?? .null),
      .init("calls", .array(calls.map { Self.json($0.call, $0.node) })),
    ])
  }

  private static func json(_ call: SlowCall, _ node: String) -> JSONValue {
    var key = JSONValue.null
    var digest = JSONValue.null
    switch call.key {
    case .digest(let text): digest = .string(text)
    case .bytes(let bytes): key = .string(Base64URL.encode(bytes))
    case nil: break
    }
    return .object([
      .init("node", .string(node)), .init("kind", .string(call.kind.rawValue)),
      .init("number", .count(call.number)),
      .init("command", .string(call.commandName ?? "?")),
      .init("unix_millis", .integer(call.unixMillis)),
      .init("duration_micros", .count(call.durationNanos / 1_000)),
      .init("failed", .bool(call.isError)), .init("calls", .count(call.calls)),
      .init("request_bytes", .count(call.requestBytes)),
      .init("reply_bytes", .count(call.replyBytes)),
      .init("shard", call.shard.map { .string($0) } ?? .null),
      .init("slot", call.slot.map { .count($0) } ?? .null),
      .init("database", call.database.map { .count($0) } ?? .null),
      .init("key", key), .init("digest", digest),
    ])
  }
}

// The pages of the admin port, as a table. To add one is to add a line to `routes`: its path, who
// may see it if the node has users, and the function that makes it. That function runs on no event
// loop; it queries nodes by their probes. Any thread.
//
// `/` is the dashboard for browsers, and lists the pages for other clients.

import Commands
import MetricTypes
import NodeCore
import RingstoreAPI
import TextForms
import Users

package struct AdminPages: Sendable {
  private let nodes: [NodeProbe]
  private let settings: @Sendable () -> NodeSettings
  private let scrape: SharedWork<MetricCollection>
  /// Of each node, why it is not ready.
  private let readinesses: SharedWork<[String?]>
  private let slowCalls: SharedWork<[SlowCalls]>
  private let startPage: AdminResponse?

  /// - Parameters:
  ///   - nodes: those of the process, the router first.
  ///   - process: metrics that concern none of them.
  ///   - startPage: what browsers see at `/`; nil: the same as other clients.
  ///   - settings: those of the process.
  package init(
    _ nodes: [NodeProbe], limits: AdminLimits = AdminLimits(), startPage: AdminResponse? = nil,
    process: @escaping @Sendable () -> MetricCollection,
    settings: @escaping @Sendable () -> NodeSettings
  ) {
    self.nodes = nodes
    self.settings = settings
    scrape = SharedWork(nanosMin: limits.scrapeNanosMin) {
      var all = MetricCollection()
      for node in nodes { all.add(await node.metrics()) }
      all.add(process())
      return all
    }
    readinesses = SharedWork {
      var reasons: [String?] = []
      for node in nodes { reasons.append(await node.notReadyReason()) }
      return reasons
    }
    slowCalls = SharedWork {
      var calls: [SlowCalls] = []
      for node in nodes { calls.append(await node.slowCalls()) }
      return calls
    }
    self.startPage = startPage
  }

  package var routes: [AdminRoute] {
    [
      AdminRoute(
        "/", access: .open,
        atOnce: { request in
          guard let startPage, request.accept?.contains("text/html") == true else { return index() }
          return startPage
        }),
      AdminRoute("/metrics", access: .read) { await metrics($0) },
      AdminRoute("/healthz", access: .open, isProbe: true) { _ in await health() },
      AdminRoute("/readyz", access: .open, isProbe: true) { _ in await readiness() },
      AdminRoute("/config", access: .admin) { _ in .json(Self.json(settings()).text) },
      AdminRoute("/slowlog", access: .admin) { .json(await slowLog(for: $0.rules)) },
    ]
  }

  private func index() -> AdminResponse {
    AdminResponse(
      .ok,
      body: """
        Ringstore: \(nodes.map(Self.title).joined(separator: ", "))

        /          the dashboard, in a browser
        /metrics   metrics for Prometheus
        /healthz   whether the node is alive
        /readyz    whether it serves calls on keys
        /config    the settings, and where each comes from
        /slowlog   slow and large calls

        """)
  }

  private static func title(_ node: NodeProbe) -> String {
    node.name == node.role ? node.role : "\(node.role) \(node.name)"
  }

  private func metrics(_ request: AdminRequest) async -> AdminResponse {
    let form = MetricText(accept: request.accept)
    return AdminResponse(
      .ok, contentType: form.contentType, body: form.text(await scrape.value()))
  }

  // MARK: - Probes

  /// Like the page of the gRPC port: the node is alive if its event loops reply.
  private func health() async -> AdminResponse {
    let lines = zip(nodes, await readinesses.value()).map { node, reason in
      "\(prefix(node))alive, \(reason ?? "serving")"
    }
    return .line(.ok, lines.joined(separator: "\n"))
  }

  private func readiness() async -> AdminResponse {
    let reasons = await readinesses.value()
    let lines = zip(nodes, reasons).map { node, reason in "\(prefix(node))\(reason ?? "serving")" }
    let isReady = reasons.allSatisfy { $0 == nil }
    return .line(isReady ? .ok : .serviceUnavailable, lines.joined(separator: "\n"))
  }

  /// With several nodes each line names its node.
  private func prefix(_ node: NodeProbe) -> String { nodes.count > 1 ? "\(node.name): " : "" }

  // MARK: - Settings

  private static func json(_ settings: NodeSettings) -> JSONValue {
    let members = settings.settings.map { setting in
      JSONValue.Member(
        setting.name,
        .object([
          .init("value", setting.value.map(json) ?? .null),
          .init("source", .string(setting.source)),
          .init("from", setting.origin.isEmpty ? .null : .string(setting.origin)),
        ]))
    }
    return .object([
      .init("kind", .string(settings.kind)), .init("settings", .object(members)),
    ])
  }

  private static func json(_ value: NodeSettings.Value) -> JSONValue {
    switch value {
    case .number(let number): .integer(number)
    case .flag(let flag): .bool(flag)
    case .text(let text): .string(text)
    case .list(let items): .array(items.map { .string($0) })
    }
  }

  // MARK: - Slow calls

  private func slowLog(for rules: KeyRules?) async -> String {
    var all = SlowCalls()
    var slowest: [(NodeProbe, SlowCall)] = []
    var largest: [(NodeProbe, SlowCall)] = []
    for (node, kept) in zip(nodes, await slowCalls.value()) {
      let calls = kept.shown(to: rules)
      all = all + calls
      slowest += calls.slow.map { (node, $0) }
      largest += calls.large.map { (node, $0) }
    }
    slowest.sort { $0.1.durationNanos > $1.1.durationNanos }
    largest.sort { $0.1.bytes > $1.1.bytes }
    return JSONValue.object([
      .init("slow_millis", all.slowMillis.map { .integer(Int64(clamping: $0)) } ?? .null),
      .init("large_bytes", all.largeBytesMin.map { .integer(Int64($0)) } ?? .null),
      .init("slowest", .array(slowest.map { Self.json($1, $0) })),
      .init("largest", .array(largest.map { Self.json($1, $0) })),
    ]).text
  }

  private static func json(_ call: SlowCall, _ node: NodeProbe) -> JSONValue {
    var members: [JSONValue.Member] = [
      .init("node", .string(node.name)), .init("kind", .string(call.kind.rawValue)),
      .init("unix_millis", .integer(call.unixMillis)),
      .init("command", call.commandName.map { .string($0) } ?? .null),
      // Of a large call a shard doesn't measure how long it took.
      .init(
        "duration_micros",
        call.durationNanos == 0 ? .null : .integer(Int64(clamping: call.durationNanos / 1_000))),
      .init("outcome", .string(call.isError ? "error" : "ok")),
    ]
    if call.kind == .tick { members.append(.init("calls", .integer(Int64(call.calls)))) }
    if call.kind == .call {
      members.append(.init("request_bytes", .integer(Int64(call.requestBytes))))
      members.append(.init("reply_bytes", .integer(Int64(call.replyBytes))))
    }
    if let shard = call.shard { members.append(.init("shard", .string(shard))) }
    if let slot = call.slot { members.append(.init("slot", .integer(Int64(slot)))) }
    if let database = call.database { members.append(.init("database", .integer(Int64(database)))) }
    switch call.key {
    case .digest(let digest): members.append(.init("key_digest", .string(digest)))
    case .bytes(let key): members.append(.init("key", .bytes(key)))
    case nil: break
    }
    return .object(members)
  }
}

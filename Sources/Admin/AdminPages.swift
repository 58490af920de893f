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

package struct AdminPages: Sendable {
  private let nodes: [NodeProbe]
  private let configuration: @Sendable () -> String
  private let scrape: SharedWork<MetricCollection>
  /// Of each node, why it is not ready.
  private let readinesses: SharedWork<[String?]>
  private let slowCalls: SharedWork<[SlowCalls]>
  private let startPage: AdminResponse?

  /// - Parameters:
  ///   - nodes: those of the process, the router first.
  ///   - process: metrics that concern none of them.
  ///   - startPage: what browsers see at `/`; nil: the list of pages.
  ///   - configuration: the settings as JSON, without secrets.
  package init(
    _ nodes: [NodeProbe], limits: AdminLimits = AdminLimits(), startPage: AdminResponse? = nil,
    process: @escaping @Sendable () -> MetricCollection,
    configuration: @escaping @Sendable () -> String
  ) {
    self.nodes = nodes
    self.configuration = configuration
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
      AdminRoute("/", access: .open) { request in
        guard let startPage, request.accept?.contains("text/html") == true else { return index() }
        return startPage
      },
      AdminRoute("/metrics", access: .read) { await metrics($0) },
      AdminRoute("/healthz", access: .open, isProbe: true) { _ in await health() },
      AdminRoute("/readyz", access: .open, isProbe: true) { _ in await readiness() },
      AdminRoute("/config", access: .admin) { _ in .json(configuration()) },
      AdminRoute("/slowlog", access: .admin) { _ in .json(await slowLog()) },
    ]
  }

  private func index() -> AdminResponse {
    AdminResponse(
      .ok,
      body: """
        Ringstore \(nodes.map { "\($0.role) \($0.name)" }.joined(separator: ", "))

        /          the dashboard, in a browser
        /metrics   metrics for Prometheus
        /healthz   whether the node is alive
        /readyz    whether it serves calls on keys
        /config    the settings, and where each comes from
        /slowlog   slow and large calls

        """)
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

  // MARK: - Slow calls

  private func slowLog() async -> String {
    var slow: [(NodeProbe, SlowCall)] = []
    var large: [(NodeProbe, SlowCall)] = []
    var thresholds = SlowCalls()
    for (node, calls) in zip(nodes, await slowCalls.value()) {
      slow += calls.slow.map { (node, $0) }
      large += calls.large.map { (node, $0) }
      thresholds = thresholds + SlowCalls(thresholdsOf: calls)
    }
    slow.sort { $0.1.durationNanos > $1.1.durationNanos }
    large.sort { $0.1.bytes > $1.1.bytes }
    return JSONValue.object([
      .init("slow_millis", Self.threshold(thresholds.slowNanos, .max, per: 1_000_000)),
      .init("large_bytes", Self.threshold(UInt64(thresholds.largeBytes), UInt64(Int.max), per: 1)),
      .init("slowest", .array(slow.map { Self.json($1, $0) })),
      .init("largest", .array(large.map { Self.json($1, $0) })),
    ]).text
  }

  private static func threshold(_ value: UInt64, _ never: UInt64, per unit: UInt64) -> JSONValue {
    value == never ? .null : .integer(Int64(clamping: value / unit))
  }

  private static func json(_ call: SlowCall, _ node: NodeProbe) -> JSONValue {
    var members: [JSONValue.Member] = [
      .init("node", .string(node.name)), .init("kind", .string(call.kind.rawValue)),
      .init("unix_millis", .integer(call.unixMillis)),
      .init("command", CommandName.of(place: call.place).map { .string($0) } ?? .null),
      // A shard doesn't measure the duration of a large call.
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

extension SlowCall {
  fileprivate var bytes: Int { max(requestBytes, replyBytes) }
}

extension SlowCalls {
  fileprivate init(thresholdsOf calls: SlowCalls) {
    self.init()
    slowNanos = calls.slowNanos
    largeBytes = calls.largeBytes
  }
}

/// Names of commands by their place in tables of calls.
package enum CommandName {
  private static let names: [Int: String] = {
    var names: [Int: String] = [:]
    for command in CommandTable.all {
      guard let place = CallNumbers.place(of: command.id.rawValue) else { continue }
      names[place] = command.name.lowercased()
    }
    return names
  }()

  package static func of(place: Int) -> String? { names[place] }
}

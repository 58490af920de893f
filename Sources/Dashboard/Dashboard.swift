// The dashboard: a page at / of the admin port, and the data that it loads from /api/. On a router
// it is about the cluster, on a shard about the shard. Its data on keys and on the cluster comes
// from calls to the node with the viewer's rights, so it shows no more than the other ports do. The
// node keeps nothing for viewers: the page computes rates and percentiles from the differences
// between replies. Sendable.
//
//   /api/overview?epoch                         the cluster, its nodes, the links; and the slots,
//                                               except for those of a map whose epoch is known
//   /api/events, /api/slowlog, /api/hotkeys     for administrators
//   /api/keys?database&prefix&after&limit       keys with their facts, page by page
//   /api/key?database&key                       one key, and the beginning of its value
//
// Keys, prefixes, tokens and values are Base64url.

import Admin
import MetricTypes
import NodeCore
import RingstoreAPI
import TextForms

package struct Dashboard: Sendable {
  /// The node that the page is about.
  let probe: NodeProbe
  /// The event loops are queried once for all viewers at the same time.
  let metrics: SharedWork<MetricCollection>
  let readiness: SharedWork<String?>
  /// Those of all nodes of the process, by name.
  let slowCallsByNode: SharedWork<[(node: String, calls: SlowCalls)]>
  let calls: NodeCalls
  let events: EventRing
  let version: String

  /// - Parameters:
  ///   - probes: the nodes of the process, the one that the page is about first. There is one.
  ///   - calls: calls on that node.
  package init?(_ probes: [NodeProbe], _ calls: NodeCalls, _ events: EventRing, version: String) {
    guard let probe = probes.first else { return nil }
    self.probe = probe
    metrics = SharedWork(nanosMin: DashboardLimits.measureNanosMin) { await probe.metrics() }
    readiness = SharedWork { await probe.notReadyReason() }
    slowCallsByNode = SharedWork {
      var calls: [(node: String, calls: SlowCalls)] = []
      for probe in probes { calls.append((probe.name, await probe.slowCalls())) }
      return calls
    }
    self.calls = calls
    self.events = events
    self.version = version
  }

  /// The files of the page.
  package var routes: [AdminRoute] {
    [
      data("/api/overview", .read, ["epoch"]) { request, query throws(CallError) in
        try await overview(request, query)
      },
      data("/api/events", .admin) { _, _ in eventList() },
      data("/api/slowlog", .admin) { request, _ in await slowCalls(for: request.rules) },
      data("/api/hotkeys", .admin, ["count"]) { request, query throws(CallError) in
        try await hotKeys(request, query)
      },
      data("/api/keys", .read, ["database", "prefix", "after", "limit"]) {
        request, query throws(CallError) in
        try await keys(request, query)
      },
      data("/api/key", .read, ["database", "key"]) { request, query throws(CallError) in
        try await key(request, query)
      },
    ]
  }

  package static let page: AdminResponse = {
    var response = AdminResponse(
      .ok, contentType: "text/html; charset=utf-8", body: DashboardPage.html)
    response.headers = [
      ("Content-Security-Policy", DashboardPage.policy), ("Referrer-Policy", "no-referrer"),
      ("Cross-Origin-Opener-Policy", "same-origin"),
      ("Cross-Origin-Resource-Policy", "same-origin"),
    ]
    return response
  }()

  private func data(
    _ path: String, _ access: AdminRoute.Access, _ names: Set<String> = [],
    _ make:
      @escaping @Sendable (AdminRequest, DashboardQuery) async throws(CallError) -> JSONValue
  ) -> AdminRoute {
    AdminRoute(path, access: access) { request in
      do throws(CallError) {
        let query = try DashboardQuery(request.query, names)
        return .json(try await make(request, query).text)
      } catch {
        return AdminResponse(error)
      }
    }
  }

  private func eventList() -> JSONValue {
    let events = events.latest.map { event in
      JSONValue.object([
        .init("number", .count(event.number)), .init("unix_millis", .integer(event.unixMillis)),
        .init("level", .string(event.level)), .init("message", .string(event.message)),
        .init(
          "fields", .array(event.fields.map { .array([.string($0.name), .string($0.value)]) })),
      ])
    }
    return .object([.init("events", .array(events))])
  }
}

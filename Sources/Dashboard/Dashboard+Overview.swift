// /api/overview: the reply of Describe with the viewer's rights, and the node's own metrics of
// itself and its links. Totals only: the page computes rates from two replies. Any thread.

import Admin
import Commands
import GRPC
import MetricTypes
import NIOCore
import NodeCore
import RingstoreAPI
import TextForms
import Users

extension Dashboard {
  func overview(
    _ request: AdminRequest, _ query: DashboardQuery
  ) async throws(CallError) -> JSONValue {
    let knownEpoch = query.text("epoch")
    let described = try await describe(as: request.caller)
    let figures = MetricSums(await metrics.value())
    let notReadyReason = await readiness.value()
    let cluster = try described.withUnsafeReadableBytes { (bytes) throws(CallError) in
      do throws(WireError) {
        return members(of: try V1.DescribeResponse(bytes), figures, knownEpoch)
      } catch {
        throw .internalError("The node's description can't be decoded.")
      }
    }
    let permissions = request.permissions.description.split(separator: ", ")
    return .object(
      cluster + [
        .init("unix_millis", .integer(WallTime.unixMillis())),
        .init("user", request.user.map { .string($0) } ?? .null),
        .init("permissions", .array(permissions.map { .string(String($0)) })),
        .init(
          "node",
          .object([
            .init("name", .string(probe.name)), .init("role", .string(probe.role)),
            .init("version", .string(version)),
            .init("not_ready_reason", notReadyReason.map { .string($0) } ?? .null),
          ])),
        .init("bounds_micros", Self.bounds),
        .init("figures", .object(figures.shown)),
        .init("links", figures.links.map { .array($0) } ?? .null),
      ])
  }

  /// The upper bounds of the buckets of durations.
  private static let bounds = JSONValue.array(
    (0..<DurationBuckets.count).map { .count(DurationBuckets.upperNanos($0) / 1_000) })

  private func describe(as caller: KnownCredential?) async throws(CallError) -> ByteBuffer {
    try await calls.perform(as: caller) { calls, tell in
      calls.call(.describe, request: ByteBuffer(), calls.pageContext()) { outcome in
        tell(outcome.flatMap(\.merged))
      }
    }
  }

  private func members(
    of described: V1.DescribeResponse, _ figures: MetricSums, _ knownEpoch: String
  ) -> [JSONValue.Member] {
    let map = described.map
    var slots: [String: Int] = [:]
    let shards = map?.shards.map { String(decoding: $0.id, as: UTF8.self) } ?? []
    for range in map?.ranges ?? RepeatedMessages() {
      guard let owner = shards.element(at: Int(range.shard)), range.first <= range.last else {
        continue
      }
      slots[owner, default: 0] += Int(range.last - range.first) + 1
    }
    let nodes = described.nodes.map { node in
      let line = NodeDescription(node)
      return Self.json(line, slots: slots[line.id], figures)
    }
    return [
      .init("cluster", .text(described.cluster)),
      .init("map", map.map { Self.json($0, knownEpoch) } ?? .null),
      .init("nodes", .array(nodes)),
    ]
  }

  private static func json(_ map: V1.SlotMap, _ knownEpoch: String) -> JSONValue {
    let ranges = map.ranges.lazy.map { range in
      JSONValue.array([.count(range.first), .count(range.last), .count(range.shard)])
    }
    return .object([
      .init("epoch", .bits(map.epoch)),
      .init(
        "shards",
        .array(
          map.shards.map {
            .object([.init("id", .text($0.id)), .init("address", .text($0.address))])
          })),
      .init("ranges", "\(map.epoch)" == knownEpoch ? .null : .array(Array(ranges))),
    ])
  }

  private static func json(
    _ node: NodeDescription, slots: Int?, _ figures: MetricSums
  ) -> JSONValue {
    let isShard = node.role == .shard
    let isKnown = node.state != .unreachable
    // A router's line has no calls: its event loops were queried for them.
    let durations = isShard ? node.durations : figures.durations.buckets
    let calls = isShard ? durations.reduce(0, &+) : figures.calls
    let errors = isShard ? node.errors : figures.errors
    let limit = node.memoryLimitBytes
    func known(_ value: JSONValue, _ isTold: Bool = true) -> JSONValue {
      isKnown && isTold ? value : .null
    }
    return .object([
      .init("id", .string(node.id)), .init("role", .string(isShard ? "shard" : "router")),
      .init("address", .string(node.address)), .init("state", .string(node.state.shownName)),
      .init("detail", .string(node.detail)), .init("version", .string(node.version)),
      .init("uptime_millis", known(.integer(node.uptimeMillis))),
      .init("incarnation", .bits(node.incarnation)),
      .init("slots", isShard ? .count(slots ?? 0) : .null),
      .init("keys", known(.integer(node.keys), isShard)),
      .init("memory_bytes", known(.integer(node.memoryBytes), isShard)),
      .init("memory_limit_bytes", known(limit > 0 ? .integer(limit) : .null, isShard)),
      .init("calls", known(.count(calls))),
      .init("errors", known(.count(errors))),
      .init("durations", known(.array(durations.map { .count($0) }))),
    ])
  }
}

extension V1.Node.State {
  fileprivate var shownName: String {
    switch self {
    case .loading: "loading"
    case .serving: "serving"
    case .draining: "draining"
    case .unreachable: "unreachable"
    case .notServing: "not_serving"
    default: "unknown"
    }
  }
}

extension Array {
  fileprivate func element(at place: Int) -> Element? {
    indices.contains(place) ? self[place] : nil
  }
}

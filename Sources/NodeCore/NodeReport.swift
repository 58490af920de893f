// A node's data for the admin port: its metrics, whether it serves, its slow calls. A node collects
// each of them on its event loops on request. Values; any thread.

import MetricTypes
import RingstoreAPI

/// A node as the admin port sees it.
package struct NodeProbe: Sendable {
  /// The shard's id, or "router".
  package let name: String
  package let role: String
  /// Its metrics, with labels that name it.
  package let metrics: @Sendable () async -> MetricCollection
  /// Why the node serves no calls on keys now; nil: it does.
  package let notReadyReason: @Sendable () async -> String?
  package let slowCalls: @Sendable () async -> SlowCalls

  package init(
    name: String, role: String, metrics: @escaping @Sendable () async -> MetricCollection,
    notReadyReason: @escaping @Sendable () async -> String?,
    slowCalls: @escaping @Sendable () async -> SlowCalls
  ) {
    self.name = name
    self.role = role
    self.metrics = metrics
    self.notReadyReason = notReadyReason
    self.slowCalls = slowCalls
  }

  /// The labels of a node's metrics.
  package static func labels(_ name: String, role: String) -> [MetricLabel] {
    [MetricLabel("node", name), MetricLabel("role", role)]
  }
}

/// How a node's slow log is set up.
package struct SlowLogSettings: Sendable, Hashable {
  /// The minimum duration of a slow call; 0: none is slow.
  package var millis = 10
  /// The minimum size of the request or reply of a large call; 0: none is large.
  package var bytes = 1 << 20
  package var keyForm = SlowKeyForm.digest

  package init() {}

  package func log(wallMillis: @escaping @Sendable () -> Int64) -> SlowLog {
    SlowLog(
      slowNanos: millis == 0 ? .max : UInt64(millis) * 1_000_000,
      largeBytes: bytes == 0 ? .max : bytes, keyForm: keyForm, wallMillis: wallMillis)
  }
}

// What is counted of the admin port itself. Any thread.

import MetricTypes
import NIOConcurrencyHelpers

package final class AdminCounters: Sendable {
  private struct Response: Hashable {
    let path: String
    let code: Int
  }

  private let responses = NIOLockedValueBox<[Response: UInt64]>([:])

  package init() {}

  /// - Parameter path: of an existing page, or "other": paths that clients invent are not kept.
  func responded(_ path: String, _ code: Int) {
    responses.withLockedValue { $0[Response(path: path, code: code), default: 0] += 1 }
  }

  package func add(to metrics: inout MetricCollection) {
    for (response, count) in responses.withLockedValue({ $0 }) {
      metrics.add(
        AdminMetric.requests,
        [MetricLabel("path", response.path), MetricLabel("code", "\(response.code)")], count)
    }
  }
}

/// The metrics of the process and its admin port.
package enum AdminMetric {
  package static let buildInfo = MetricDefinition(
    .gauge, "ringstore_build_info", "The version that runs.")
  package static let clock = MetricDefinition(
    .gauge, "ringstore_clock_timestamp_seconds",
    "The wall clock at this scrape, in seconds since 1970.")
  package static let logLinesDropped = MetricDefinition(
    .counter, "ringstore_log_lines_dropped_total", "Lines of the log that stderr did not take.")
  package static let requests = MetricDefinition(
    .counter, "ringstore_admin_requests_total", "Requests to the admin port with a reply.")
  package static let connections = MetricDefinition(
    .gauge, "ringstore_admin_connections", "Open connections to the admin port.")
}

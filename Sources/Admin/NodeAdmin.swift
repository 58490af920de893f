// The admin port of a process: its server, its pages, and the counters of both. Any thread.

import GRPC
import Logging
import MetricTypes
import NIOCore
import NodeCore

package enum NodeAdmin {
  /// Starts the admin port.
  ///
  /// - Parameters:
  ///   - nodes: those of the process, the router first.
  ///   - settings: those of the process.
  ///   - logLinesDropped: the number of log lines that were dropped because stderr accepted none.
  ///   - library: what libraries count.
  ///   - processMetrics: adds further metrics of the process.
  ///   - startPage: what browsers see at `/`, and the files that it loads.
  /// - Throws: as `AdminServer.start`.
  package static func start(
    _ configuration: AdminConfiguration, nodes: [NodeProbe], version: String,
    settings: @escaping @Sendable () -> NodeSettings,
    logLinesDropped: @escaping @Sendable () -> UInt64, library: LibraryMetrics?,
    processMetrics: @escaping @Sendable (inout MetricCollection) -> Void = { _ in },
    startPage: (page: AdminResponse, routes: [AdminRoute])? = nil, logger: Logger
  ) async throws -> AdminServer {
    let connections = AdminServer.connections(configuration.limits)
    let counters = AdminCounters()
    let pages = AdminPages(
      nodes, limits: configuration.limits, startPage: startPage?.page,
      process: {
        var metrics = MetricCollection()
        metrics.add(AdminMetric.buildInfo, [MetricLabel("version", version)], 1)
        metrics.add(AdminMetric.clock, number: Double(WallTime.unixMillis()) / 1_000)
        metrics.add(AdminMetric.logLinesDropped, logLinesDropped())
        counters.add(to: &metrics)
        metrics.add(AdminMetric.connections, connections.open)
        ProcessMetrics.add(to: &metrics)
        library?.add(to: &metrics)
        processMetrics(&metrics)
        return metrics
      }, settings: settings)
    return try await AdminServer.start(
      configuration, connections: connections, routes: pages.routes + (startPage?.routes ?? []),
      counters: counters,
      logger: logger)
  }
}

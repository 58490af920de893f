// The admin port of a node that serves. It ends after the node, so that probes and scrapes see the
// drain. Any thread.

import Admin
import Dashboard
import Logging
import NIOCore
import TextForms

extension RunningNode {
  /// How long replies in progress may take at the end.
  private static let adminGrace = TimeAmount.seconds(1)
  /// What libraries of the process count.
  private static let swiftMetrics = LibraryMetrics()

  /// The same node with its admin port, if it has one. A node whose admin port can't be opened
  /// doesn't serve.
  ///
  /// - Parameter sources: the data of `/config`.
  func withAdmin(
    _ configuration: AdminConfiguration?, _ shares: DescriptorShares, _ access: NodeAccess,
    _ sources: SettingSources, _ tracing: NodeTracing, _ logs: NodeLogs
  ) async throws(StartFailure) -> RunningNode {
    guard var configuration else { return self }
    configuration.users = access.users
    configuration.limits.connectionsMax = shares.admin
    Self.swiftMetrics.bootstrap()
    let ledger = sources.ledger
    let server: AdminServer
    do {
      server = try await NodeAdmin.start(
        configuration, nodes: probes, version: RingstoreVersion.current,
        settings: { ledger.settings }, logLinesDropped: { logs.linesDropped },
        library: Self.swiftMetrics, processMetrics: { tracing.addMetrics(to: &$0) },
        startPage: Dashboard(probes, calls, logs.events, version: RingstoreVersion.current)
          .map { (Dashboard.page, $0.routes) },
        logger: logs.logger("ringstore.admin"))
    } catch {
      await drain()
      throw StartFailure(error, host: configuration.host, port: configuration.port)
    }
    return with(server)
  }

  private func with(_ server: AdminServer) -> RunningNode {
    var node = self
    let drainNode = drain
    node.adminPort = server.port
    node.drain = {
      await drainNode()
      await server.drain(gracePeriod: Self.adminGrace)
    }
    return node
  }
}

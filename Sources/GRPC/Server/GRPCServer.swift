// A gRPC server on one address: a listener for gRPC connections. Sendable.

import Logging
import NIOCore

package final class GRPCServer: Sendable {
  private let listener: Listener<ServerLoop>

  private init(_ listener: Listener<ServerLoop>) {
    self.listener = listener
  }

  /// Binds and begins to accept.
  ///
  /// - Parameters:
  ///   - port: 0 lets the system choose; see `port` afterwards.
  ///   - group: connections are spread over its loops.
  ///   - connections: the node's connections, on all ports.
  ///   - service: called once for each loop, on that loop.
  /// - Throws: if the address can't be bound, as when another process has the port.
  package static func start(
    host: String, port: Int, group: any EventLoopGroup, configuration: ServerConfiguration,
    connections: NodeConnections = NodeConnections(), logger: Logger,
    service: @escaping @Sendable (any EventLoop) -> any ServerService
  ) async throws -> GRPCServer {
    var options = ListenerOptions(
      backlog: configuration.backlog,
      writeHighWaterBytes: ServerConfiguration.writeChunkBytes)
    // A client that has sent all its requests may close its side and wait for the replies.
    options.allowsHalfClosure = true
    options.tls = configuration.tls
    var ofLoop = configuration
    ofLoop.clientMemoryBytes /= group.makeIterator().reduce(0) { count, _ in count + 1 }
    let loopConfiguration = ofLoop
    let listener = try await Listener.start(
      host: host, port: port, group: group, options: options, connections: connections,
      logger: logger
    ) { eventLoop in
      ServerLoop(
        eventLoop: eventLoop, service: service(eventLoop), configuration: loopConfiguration,
        connections: connections, logger: logger)
    }
    connections.add(ClientDirectory(listener))
    connections.setServer { [weak listener, weak connections] eventLoop in
      let nothing = ServerReport(address: nil, calls: CallCounts(), connections: [])
      guard let listener, let connections else { return eventLoop.makeSucceededFuture(nothing) }
      return listener.gather(on: eventLoop) { $0.connectionReports }.map { reports in
        let calls = reports.reduce(connections.goneCalls) { $0 + $1.calls }
        return ServerReport(address: listener.address, calls: calls, connections: reports)
      }
    }
    return GRPCServer(listener)
  }

  /// The port that is listened on.
  package var port: Int { listener.port }

  /// Stops accepting, sends GOAWAY to every client, finishes calls in flight, and closes.
  /// Connections that are still open after `gracePeriod` are closed immediately. Returns when none
  /// is left.
  package func drain(gracePeriod: TimeAmount) async {
    await listener.drain(gracePeriod: gracePeriod)
  }
}

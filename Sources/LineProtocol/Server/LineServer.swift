// The line protocol's server on one address: a listener whose connections use the line protocol.
// Sendable.

import GRPC
import Logging
import NIOCore

package final class LineServer: Sendable {
  private let listener: Listener<LineLoop>

  private init(_ listener: Listener<LineLoop>) {
    self.listener = listener
  }

  /// Why the server could not start.
  package struct ListenFailure: Error {
    package let port: Int
    package let cause: any Error

    package init(port: Int, cause: any Error) {
      self.port = port
      self.cause = cause
    }
  }

  /// Binds and begins to accept.
  ///
  /// - Parameters:
  ///   - port: 0 lets the system choose; see `port` afterwards.
  ///   - group: connections are spread over its loops.
  ///   - connections: those of the node, on all its ports.
  ///   - node: called once for each loop, on that loop.
  /// - Throws: `ListenFailure` if the address can't be bound, as when another process has the port.
  package static func start(
    host: String, port: Int, group: any EventLoopGroup,
    configuration: LineConfiguration = LineConfiguration(),
    connections: NodeConnections = NodeConnections(), logger: Logger,
    node: @escaping @Sendable (any EventLoop) -> LineNode
  ) async throws -> LineServer {
    var options = ListenerOptions(
      backlog: configuration.backlog, writeHighWaterBytes: 2 * LineConfiguration.writeChunkBytes)
    // A client that has sent all its commands may close its side and wait for the replies.
    options.allowsHalfClosure = true
    options.tls = configuration.tls
    do {
      let listener = try await Listener.start(
        host: host, port: port, group: group, options: options, connections: connections,
        logger: logger
      ) { eventLoop in
        LineLoop(
          eventLoop: eventLoop, node: node(eventLoop), configuration: configuration,
          connections: connections, logger: logger)
      }
      connections.add(ClientDirectory(listener))
      return LineServer(listener)
    } catch {
      throw ListenFailure(port: port, cause: error)
    }
  }

  /// The port that is listened on.
  package var port: Int { listener.port }

  /// Stops accepting, lets commands in progress finish, and closes. Connections still open after
  /// `gracePeriod` are closed at once. Returns when none is left.
  package func drain(gracePeriod: TimeAmount) async {
    await listener.drain(gracePeriod: gracePeriod)
  }
}

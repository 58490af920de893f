// The admin port: HTTP/1.1 on a thread of its own, so that no page, client or attacker there uses
// time of the loops that serve calls. It gets its data from those loops, with one query per loop.
// Sendable.

import GRPC
import Logging
import NIOCore
import NIOPosix
import NodeCore
import Users

package final class AdminServer: Sendable {
  /// Why the server could not start.
  package struct ListenFailure: Error {
    package let port: Int
    package let cause: any Error
  }

  /// The port it listens on.
  package let port: Int
  private let group: MultiThreadedEventLoopGroup
  private let loops: NodeLoops
  private let listener: Listener<AdminLoop>
  private let certificates: CertificateWatch
  private let observer: Int?
  private let users: UserDirectory?

  private init(
    _ group: MultiThreadedEventLoopGroup, _ loops: NodeLoops, _ listener: Listener<AdminLoop>,
    _ certificates: CertificateWatch, _ users: UserDirectory?, observer: Int?
  ) {
    self.group = group
    self.loops = loops
    self.listener = listener
    self.certificates = certificates
    self.users = users
    self.observer = observer
    port = listener.port
  }

  /// Binds and begins to accept.
  ///
  /// - Parameters:
  ///   - connections: those of this port only; the node's limits are for its clients.
  ///   - routes: the pages.
  ///   - counters: what is counted of requests.
  /// - Throws: `TLSFileFailure`, or `ListenFailure` if the address can't be bound.
  package static func start(
    _ configuration: AdminConfiguration, connections: NodeConnections, routes: [AdminRoute],
    counters: AdminCounters, logger: Logger
  ) async throws -> AdminServer {
    let tls = try configuration.tls?.forHTTP1.listeners()
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let loops = NodeLoops()
    do {
      let eventLoop = group.next()
      let authorizer = try await eventLoop.submit {
        let authorizer = configuration.users.map { Authorizer($0.table, $0.ledger) }
        return NIOLoopBound(authorizer, eventLoop: eventLoop)
      }.get()
      let observer = configuration.users?.observe { table in
        loops.execute(on: eventLoop) { authorizer.value?.replace(with: table) }
      }
      var options = ListenerOptions(backlog: 64, writeHighWaterBytes: 1 << 20)
      // A client that has sent its request may close its side and wait for the reply.
      options.allowsHalfClosure = true
      options.tls = tls?.lines
      options.tls?.handshakesMax = configuration.limits.handshakesMax
      options.idlestGivesWay = true
      let listener = try await Listener.start(
        host: configuration.host, port: configuration.port, group: group, options: options,
        connections: connections, logger: logger
      ) { eventLoop in
        AdminLoop(
          eventLoop, loops, routes, authorizer: authorizer.value, limits: configuration.limits,
          connections: connections, counters: counters, logger: logger)
      }
      return AdminServer(
        group, loops, listener, CertificateWatch([tls?.contexts].compactMap { $0 }, logger: logger),
        configuration.users, observer: observer)
    } catch {
      loops.close()
      try? await group.shutdownGracefully()
      throw ListenFailure(port: configuration.port, cause: error)
    }
  }

  /// The limits of connections to this port.
  package static func connections(_ limits: AdminLimits) -> NodeConnections {
    var bounds = ConnectionLimits()
    bounds.maxConnections = limits.connectionsMax
    bounds.reserved = 0
    return NodeConnections(limits: bounds)
  }

  /// Stops accepting, sends the replies in progress, and ends. Returns when everything has ended.
  package func drain(gracePeriod: TimeAmount) async {
    certificates.stop()
    if let observer { users?.stopObserving(observer) }
    await listener.drain(gracePeriod: gracePeriod)
    loops.close()
    try? await group.shutdownGracefully()
  }
}

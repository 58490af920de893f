// What all connections of the admin port share: its pages, users and limits. Lives on the port's
// one event loop.

import GRPC
import Logging
import NIOCore
import NodeCore
import Users

package final class AdminLoop: ListenerLoop {
  package let eventLoop: any EventLoop
  /// For pages, which are made outside of the event loop.
  let loops: NodeLoops
  let routes: [String: AdminRoute]
  /// The users; nil: every caller may see everything.
  let authorizer: Authorizer?
  let limits: AdminLimits
  let connections: NodeConnections
  let counters: AdminCounters
  let logger: Logger
  package let receiveBuffer = SharedReceiveBuffer()
  package let scheduler: LoopScheduler
  private(set) var isDraining = false
  private let list: ConnectionList<AdminConnection>

  package init(
    _ eventLoop: any EventLoop, _ loops: NodeLoops, _ routes: [AdminRoute],
    authorizer: Authorizer?, limits: AdminLimits, connections: NodeConnections,
    counters: AdminCounters, logger: Logger
  ) {
    self.eventLoop = eventLoop
    self.loops = loops
    self.routes = Dictionary(routes.map { ($0.path, $0) }) { first, _ in first }
    self.authorizer = authorizer
    self.limits = limits
    self.connections = connections
    self.counters = counters
    self.logger = logger
    scheduler = LoopScheduler(eventLoop: eventLoop)
    list = ConnectionList(scheduler: scheduler, sweepNanos: limits.sweepNanos)
  }

  func add(_ connection: AdminConnection) { list.add(connection) }

  func remove(_ connection: AdminConnection) { list.remove(connection) }

  package var connectionCount: Int { list.count }

  package func makeHandler(_ connection: AcceptedConnection) -> any ChannelHandler {
    AdminConnection(
      self, place: connection.place, peer: connection.peer, writer: connection.writer)
  }

  package func endIdlest() -> Bool {
    let nowNanos = eventLoop.now.uptimeNanoseconds
    let idle = list.all.compactMap { connection in
      connection.idleness(nowNanos: nowNanos).map { (connection: connection, idleness: $0) }
    }
    guard let idlest = idle.max(by: { $0.idleness < $1.idleness }) else { return false }
    idlest.connection.cut(.tooManyConnections)
    return true
  }

  package func drain() -> [EventLoopFuture<Void>] {
    isDraining = true
    return list.all.map { $0.drain() }
  }

  package func closeNow() {
    for connection in list.all { connection.cut(.drainTimeout) }
  }
}

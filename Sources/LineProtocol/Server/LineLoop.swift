// What all line connections of one event loop share: the node's port, the flusher, the limits, and
// the list of connections for sweeps and drains. Used on that loop.

import GRPC
import Logging
import NIOCore
import NodeCore
import RingstoreAPI
import Users

/// What the node's loop gives to its line connections.
package struct LineNode {
  package let port: any LocalDispatcher
  /// The loop's one flusher: two could starve the sockets between them.
  package let flusher: FlushCoalescer
  /// The users; nil: every caller may do everything.
  package let authorizer: Authorizer?

  package init(
    port: any LocalDispatcher, flusher: FlushCoalescer, authorizer: Authorizer? = nil
  ) {
    self.port = port
    self.flusher = flusher
    self.authorizer = authorizer
  }
}

final class LineLoop: ClientLoop {
  let eventLoop: any EventLoop
  let node: LineNode
  let configuration: LineConfiguration
  /// What the node counts about its connections.
  let connections: NodeConnections
  let limits: LineLimits
  let logger: Logger
  let receiveBuffer = SharedReceiveBuffer()
  private(set) var isDraining = false
  /// What the loop's clients hold, on whatever port they are.
  let clientMemory: ClientMemory

  private let list: ConnectionList<LineConnection>

  init(
    eventLoop: any EventLoop, node: LineNode, configuration: LineConfiguration,
    connections: NodeConnections, logger: Logger
  ) {
    self.eventLoop = eventLoop
    self.node = node
    self.configuration = configuration
    self.connections = connections
    self.logger = logger
    limits = LineLimits(node.port.limits)
    clientMemory =
      node.flusher.scheduler.meter.clientMemory
      ?? ClientMemory(
        bytesMax: configuration.maxHeldBytes, messageBytesMax: node.port.limits.maxMessageBytes)
    list = ConnectionList(
      scheduler: node.flusher.scheduler, sweepNanos: configuration.sweepNanosInForce)
    clientMemory.join { [weak list] in list?.offenders ?? MemoryOffenders() }
  }

  var scheduler: LoopScheduler { node.flusher.scheduler }

  func add(_ connection: LineConnection) { list.add(connection) }

  func remove(_ connection: LineConnection) { list.remove(connection) }

  func makeHandler(_ connection: AcceptedConnection) -> any ChannelHandler {
    LineConnection(
      loop: self, place: connection.place, peer: connection.peer, writer: connection.writer)
  }

  func drain() -> [EventLoopFuture<Void>] {
    isDraining = true
    return list.all.map { $0.drain() }
  }

  var clientReports: [ClientReport] {
    let nowNanos = eventLoop.now.uptimeNanoseconds
    return list.all.map { $0.report(nowNanos: nowNanos) }
  }

  func hasClient(_ id: UInt64) -> Bool { list.all.contains { $0.id == id } }

  func endClient(_ id: UInt64) -> Bool {
    guard let connection = list.all.first(where: { $0.id == id }) else { return false }
    connection.cut(.administrator)
    return true
  }

  func closeNow() {
    for connection in list.all { connection.cut(.drainTimeout) }
  }
}

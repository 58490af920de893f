// What all line connections of one event loop share: the node's port, the flusher, the bounds, and
// the list of connections for sweeps and drains. Lives on that loop, but for the count of
// connections, which all loops of the node share.

import GRPC
import Logging
import NIOConcurrencyHelpers
import NIOCore
import NodeCore
import RingstoreAPI

/// What the node's loop gives to its line connections.
package struct LineNode {
  package let port: any CallPort
  /// The loop's one flusher: two could starve the sockets between them.
  package let flusher: TickFlusher

  package init(port: any CallPort, flusher: TickFlusher) {
    self.port = port
    self.flusher = flusher
  }
}

final class LineLoop: ListenerLoop {
  let eventLoop: any EventLoop
  let node: LineNode
  let configuration: LineConfiguration
  let limits: LineLimits
  let logger: Logger
  let receiveBuffer = SharedReceiveBuffer()
  private(set) var isDraining = false
  /// Bytes of requests that the loop's connections hold.
  var heldBytes = 0

  private let open: NIOLockedValueBox<Int>
  private var connections: [ObjectIdentifier: LineConnection] = [:]
  private var sweeper: Scheduled<Void>?

  init(
    eventLoop: any EventLoop, node: LineNode, configuration: LineConfiguration,
    open: NIOLockedValueBox<Int>, logger: Logger
  ) {
    self.eventLoop = eventLoop
    self.node = node
    self.configuration = configuration
    self.open = open
    self.logger = logger
    limits = LineLimits(node.port.limits)
  }

  /// Adds a connection; returns whether it is within the bound. It is removed in any case.
  func add(_ connection: LineConnection) -> Bool {
    connections[ObjectIdentifier(connection)] = connection
    if sweeper == nil { scheduleSweep() }
    return open.withLockedValue { open in
      open += 1
      return open <= configuration.maxConnections
    }
  }

  func remove(_ connection: LineConnection) {
    guard connections.removeValue(forKey: ObjectIdentifier(connection)) != nil else { return }
    open.withLockedValue { $0 -= 1 }
    guard connections.isEmpty else { return }
    sweeper?.cancel()
    sweeper = nil
  }

  func makeHandler() -> any ChannelHandler { LineConnection(loop: self) }

  func drain() -> [EventLoopFuture<Void>] {
    isDraining = true
    return connections.values.map { $0.drain() }
  }

  func closeNow() {
    for connection in Array(connections.values) { connection.closeNow() }
  }

  private func scheduleSweep() {
    let interval = TimeAmount.nanoseconds(configuration.sweepNanos)
    sweeper = eventLoop.assumeIsolated().scheduleTask(in: interval) { [self] in
      let now = eventLoop.now.uptimeNanoseconds
      for connection in Array(connections.values) { connection.sweep(nowNanos: now) }
      sweeper = nil
      if !connections.isEmpty { scheduleSweep() }
    }
  }
}

// A listening socket, what its connections share on each event loop, and the drain of all of them:
// the part of a server that is the same for every protocol. Sendable: started and stopped from
// tasks, while everything about connections happens on their event loops.

import Logging
import NIOCore
import NIOPosix

/// What the connections of one listener share on one event loop. Used on that loop only.
package protocol ListenerLoop: AnyObject, SendableMetatype {
  var eventLoop: any EventLoop { get }
  /// The buffer that the connections read into. Their handlers return it after each read.
  var receiveBuffer: SharedReceiveBuffer { get }
  /// The loop's turns.
  var scheduler: LoopScheduler { get }

  /// Makes the handler of a connection whose client may send now.
  func makeHandler(_ connection: AcceptedConnection) throws -> any ChannelHandler

  /// Ends every connection once its work in progress is done, connections accepted from now on as
  /// well. Returns the ends of those that are open.
  func drain() -> [EventLoopFuture<Void>]

  /// Closes every connection, even if it has work in progress.
  func closeNow()

  /// Closes the connection that has been idle for longest and frees its place at once; false: there
  /// is none. Called only with `ListenerOptions.idlestGivesWay`.
  func endIdlest() -> Bool
}

extension ListenerLoop {
  package func endIdlest() -> Bool { false }
}

/// What a listener passes to the protocol with a connection.
package struct AcceptedConnection {
  /// The connection's share of the node's limits; the handler must close it when the connection is
  /// gone.
  package let place: ConnectionPlace
  package let peer: PeerIdentity
  /// When it was accepted, on the loop's clock; nil: just now.
  package let openedNanos: UInt64?
  /// What its handler writes with.
  package let writer: SocketWriter

  package init(
    place: ConnectionPlace, peer: PeerIdentity = .plaintext, openedNanos: UInt64? = nil,
    writer: SocketWriter = SocketWriter()
  ) {
    self.place = place
    self.peer = peer
    self.openedNanos = openedNanos
    self.writer = writer
  }
}

/// How a listener's sockets are set up. Sizes are bytes.
package struct ListenerOptions: Sendable {
  /// Connections waiting to be accepted.
  package var backlog: Int32
  /// Bytes passed to a socket and not accepted by it, from which on a connection is not writable;
  /// it is writable again when they are 128 KiB or less.
  package var writeHighWaterBytes: Int
  /// Whether a client that closes its side may still get replies.
  package var allowsHalfClosure = false
  /// Whether a connection is closed for a new one at the limit of connections. For listeners with
  /// one event loop.
  package var idlestGivesWay = false
  /// How connections are encrypted; nil: not at all.
  package var tls: ListenerTLS?

  package init(backlog: Int32, writeHighWaterBytes: Int) {
    self.backlog = backlog
    self.writeHighWaterBytes = writeHighWaterBytes
  }
}

package final class Listener<Loop: ListenerLoop>: Sendable {
  /// One event loop of the listener.
  private final class LoopState {
    let loop: Loop
    /// Nil without TLS.
    let handshakes: TLSHandshakes?

    init(loop: Loop, handshakes: TLSHandshakes?) {
      self.loop = loop
      self.handshakes = handshakes
    }

    /// Frees the place of a connection, if possible.
    func makeRoom() {
      // At their limit handshakes replace each other: clients that complete none cost no others.
      if let handshakes, handshakes.isFull, handshakes.endOldest() { return }
      if !loop.endIdlest() { _ = handshakes?.endOldest() }
    }
  }

  private let channel: any Channel
  private let loops: [NIOLoopBound<LoopState>]

  private init(channel: any Channel, loops: [NIOLoopBound<LoopState>]) {
    self.channel = channel
    self.loops = loops
  }

  /// Binds and begins to accept.
  ///
  /// - Parameters:
  ///   - port: 0 lets the system choose; see `port` afterwards.
  ///   - group: connections are spread over its loops.
  ///   - connections: the node's, of which those accepted here are a part.
  ///   - loop: called once for each loop, on that loop.
  /// - Throws: if the address can't be bound, as when another process has the port.
  package static func start(
    host: String, port: Int, group: any EventLoopGroup, options: ListenerOptions,
    connections: NodeConnections, logger: Logger,
    loop: @escaping @Sendable (any EventLoop) -> Loop
  ) async throws -> Listener {
    var byLoop: [ObjectIdentifier: NIOLoopBound<LoopState>] = [:]
    let loopCount = group.makeIterator().reduce(0) { count, _ in count + 1 }
    for eventLoop in group.makeIterator() {
      byLoop[ObjectIdentifier(eventLoop)] = try await eventLoop.submit {
        let loop = loop(eventLoop)
        let handshakes = options.tls.map {
          TLSHandshakes(
            $0, loopCount: loopCount, scheduler: loop.scheduler, connections: connections,
            logger: logger)
        }
        return NIOLoopBound(LoopState(loop: loop, handshakes: handshakes), eventLoop: eventLoop)
      }.get()
    }
    let loops = byLoop
    let channel = try await bootstrap(group, options, logger) { channel in
      channel.eventLoop.makeCompletedFuture {
        guard let state = loops[ObjectIdentifier(channel.eventLoop)]?.value else { return }
        if options.idlestGivesWay, connections.isFull { state.makeRoom() }
        guard let place = connections.admit(channel.remoteAddress) else {
          logger.warning(
            "connections are closed without an error message",
            metadata: ["open": "\(connections.open)"])
          return channel.close(promise: nil)
        }
        do {
          try add(channel, place, state)
        } catch {
          place.close()
          throw error
        }
      }
    }.bind(host: host, port: port).get()
    return Listener(channel: channel, loops: Array(loops.values))
  }

  /// Sets up a connection that was just accepted.
  private static func add(
    _ channel: any Channel, _ place: ConnectionPlace, _ state: LoopState
  ) throws {
    let loop = state.loop
    let pipeline = channel.pipeline.syncOperations
    guard let handshakes = state.handshakes else {
      try channel.syncOptions?.setOption(
        .recvAllocator,
        value: SharedReceiveAllocator(loop.receiveBuffer, eventLoop: loop.eventLoop))
      return try pipeline.addHandler(loop.makeHandler(AcceptedConnection(place: place)))
    }
    try channel.syncOptions?.setOption(
      .recvAllocator,
      value: SharedReceiveAllocator(
        loop.receiveBuffer, eventLoop: loop.eventLoop,
        bytesMax: SharedReceiveBuffer.encryptedReadBytes))
    try pipeline.addHandler(
      handshakes.begin(place, receiveBuffer: loop.receiveBuffer) { try loop.makeHandler($0) })
  }

  private static func bootstrap(
    _ group: any EventLoopGroup, _ options: ListenerOptions, _ logger: Logger,
    _ initialize: @escaping @Sendable (any Channel) -> EventLoopFuture<Void>
  ) -> ServerBootstrap {
    SilentPeers.options.reduce(ServerBootstrap(group: group)) { bootstrap, next in
      bootstrap.serverChannelOption(next.option, value: next.value)
    }
    .serverChannelInitializer { channel in
      channel.eventLoop.makeCompletedFuture {
        try channel.pipeline.syncOperations.addHandler(AcceptPause(logger: logger))
      }
    }
    .serverChannelOption(ChannelOptions.backlog, value: options.backlog)
    .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
    .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
    .childChannelOption(.allowRemoteHalfClosure, value: options.allowsHalfClosure)
    // A second read for the same event would mostly find nothing, and costs a system call.
    // (SharedReceiveAllocator also relies on one message per read.)
    .childChannelOption(ChannelOptions.maxMessagesPerRead, value: 1)
    .childChannelOption(
      ChannelOptions.writeBufferWaterMark,
      value: .init(low: 128 << 10, high: options.writeHighWaterBytes)
    )
    .childChannelInitializer(initialize)
  }

  /// The address that is listened on.
  package var address: SocketAddress? { channel.localAddress }

  /// Gathers something from each event loop.
  ///
  /// - Parameter body: called on each of them.
  package func gather<Part: Sendable>(
    on eventLoop: any EventLoop, _ body: @escaping @Sendable (Loop) -> [Part]
  ) -> EventLoopFuture<[Part]> {
    let parts = loops.map { bound in bound.eventLoop.submit { body(bound.value.loop) } }
    return EventLoopFuture.reduce([], parts, on: eventLoop) { $0 + $1 }
  }

  /// The port that is listened on.
  package var port: Int { channel.localAddress?.port ?? 0 }

  /// Stops accepting and drains the connections. Those still open after `gracePeriod` are closed at
  /// once. Returns when none is left.
  package func drain(gracePeriod: TimeAmount) async {
    try? await channel.close().get()
    let closed = loops.map { bound in
      bound.eventLoop.flatSubmit { Self.drain(bound, gracePeriod: gracePeriod) }
    }
    for future in closed {
      try? await future.get()
    }
  }

  private static func drain(
    _ bound: NIOLoopBound<LoopState>, gracePeriod: TimeAmount
  ) -> EventLoopFuture<Void> {
    let loop = bound.value.loop
    bound.value.handshakes?.endAll()
    let closes = loop.drain()
    let grace = loop.eventLoop.assumeIsolated().scheduleTask(in: gracePeriod) {
      bound.value.loop.closeNow()
    }
    return EventLoopFuture.andAllComplete(closes, on: loop.eventLoop).map { grace.cancel() }
  }
}

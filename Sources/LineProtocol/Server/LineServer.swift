// The line protocol's listening socket and its drain. Sendable: started and stopped from tasks,
// while everything about connections happens on their event loops.

import Logging
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix

package final class LineServer: Sendable {
  private let channel: any Channel
  private let loops: [NIOLoopBound<LineLoop>]

  private init(channel: any Channel, loops: [NIOLoopBound<LineLoop>]) {
    self.channel = channel
    self.loops = loops
  }

  /// Why the server could not start.
  package struct ListenFailure: Error {
    package let port: Int
    package let cause: any Error
  }

  /// Binds and begins to accept.
  ///
  /// - Parameters:
  ///   - port: 0 lets the system choose; see `port` afterwards.
  ///   - group: connections are spread over its loops.
  ///   - node: called once for each loop, on that loop.
  /// - Throws: `ListenFailure` if the address can't be bound, as when another process has the port.
  package static func start(
    host: String, port: Int, group: any EventLoopGroup,
    configuration: LineConfiguration = LineConfiguration(), logger: Logger,
    node: @escaping @Sendable (any EventLoop) -> LineNode
  ) async throws -> LineServer {
    let open = NIOLockedValueBox(0)
    var byLoop: [ObjectIdentifier: NIOLoopBound<LineLoop>] = [:]
    for eventLoop in group.makeIterator() {
      byLoop[ObjectIdentifier(eventLoop)] = try await eventLoop.submit {
        let loop = LineLoop(
          eventLoop: eventLoop, node: node(eventLoop), configuration: configuration, open: open,
          logger: logger)
        return NIOLoopBound(loop, eventLoop: eventLoop)
      }.get()
    }
    let loops = byLoop
    do {
      let channel = try await bootstrap(group, configuration) { channel in
        channel.eventLoop.makeCompletedFuture {
          guard let loop = loops[ObjectIdentifier(channel.eventLoop)]?.value else { return }
          try channel.pipeline.syncOperations.addHandler(LineConnection(loop: loop))
        }
      }.bind(host: host, port: port).get()
      return LineServer(channel: channel, loops: Array(byLoop.values))
    } catch {
      throw ListenFailure(port: port, cause: error)
    }
  }

  private static func bootstrap(
    _ group: any EventLoopGroup, _ configuration: LineConfiguration,
    _ initialize: @escaping @Sendable (any Channel) -> EventLoopFuture<Void>
  ) -> ServerBootstrap {
    ServerBootstrap(group: group)
      .serverChannelOption(ChannelOptions.backlog, value: configuration.backlog)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
      // A client that has sent all its commands may close its side and wait for the replies.
      .childChannelOption(.allowRemoteHalfClosure, value: true)
      .childChannelOption(
        ChannelOptions.recvAllocator,
        value: FixedSizeRecvByteBufferAllocator(capacity: LineConfiguration.receiveBufferBytes)
      )
      .childChannelOption(ChannelOptions.maxMessagesPerRead, value: 1)
      .childChannelOption(
        ChannelOptions.writeBufferWaterMark,
        value: .init(low: 128 << 10, high: 2 * LineConfiguration.writeChunkBytes)
      )
      .childChannelInitializer(initialize)
  }

  /// The port that is listened on.
  package var port: Int { channel.localAddress?.port ?? 0 }

  /// Stops accepting, lets commands under way finish, and closes. Connections that are still open
  /// after `gracePeriod` are closed hard. Returns when none is left.
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
    _ bound: NIOLoopBound<LineLoop>, gracePeriod: TimeAmount
  ) -> EventLoopFuture<Void> {
    let loop = bound.value
    let closes = loop.drain()
    let grace = loop.eventLoop.assumeIsolated().scheduleTask(in: gracePeriod) {
      bound.value.closeNow()
    }
    return EventLoopFuture.andAllComplete(closes, on: loop.eventLoop).map { grace.cancel() }
  }
}

// The listening socket and its drain. Sendable: started and stopped from tasks, while everything
// about connections happens on their event loops.

import Logging
import NIOCore
import NIOPosix

/// A gRPC server on one address.
package final class GRPCServer: Sendable {
  private let channel: any Channel
  private let loops: [NIOLoopBound<ServerLoop>]
  private let logger: Logger

  private init(channel: any Channel, loops: [NIOLoopBound<ServerLoop>], logger: Logger) {
    self.channel = channel
    self.loops = loops
    self.logger = logger
  }

  /// Binds and begins to accept.
  ///
  /// - Parameters:
  ///   - port: 0 lets the system choose; see `port` afterwards.
  ///   - group: connections are spread over its loops.
  ///   - service: called once for each loop, on that loop.
  /// - Throws: if the address can't be bound, as when another process has the port.
  package static func start(
    host: String, port: Int, group: any EventLoopGroup, configuration: ServerConfiguration,
    logger: Logger, service: @escaping @Sendable (any EventLoop) -> any ServerService
  ) async throws -> GRPCServer {
    var byLoop: [ObjectIdentifier: NIOLoopBound<ServerLoop>] = [:]
    for eventLoop in group.makeIterator() {
      byLoop[ObjectIdentifier(eventLoop)] = try await eventLoop.submit {
        let loop = ServerLoop(
          eventLoop: eventLoop, service: service(eventLoop), configuration: configuration,
          logger: logger)
        return NIOLoopBound(loop, eventLoop: eventLoop)
      }.get()
    }
    let loops = byLoop
    let channel = try await ServerBootstrap(group: group)
      .serverChannelOption(ChannelOptions.backlog, value: configuration.backlog)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
      .childChannelOption(
        ChannelOptions.recvAllocator,
        value: FixedSizeRecvByteBufferAllocator(capacity: ServerConfiguration.receiveBufferBytes)
      )
      // A second read of the same event would mostly find nothing, at the price of a system call.
      .childChannelOption(ChannelOptions.maxMessagesPerRead, value: 1)
      .childChannelOption(
        ChannelOptions.writeBufferWaterMark,
        value: .init(low: 128 << 10, high: ServerConfiguration.writeChunkBytes)
      )
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          guard let loop = loops[ObjectIdentifier(channel.eventLoop)]?.value else { return }
          try channel.pipeline.syncOperations.addHandler(GRPCServerHandler(loop: loop))
        }
      }
      .bind(host: host, port: port).get()
    return GRPCServer(channel: channel, loops: Array(byLoop.values), logger: logger)
  }

  /// The port that is listened on.
  package var port: Int { channel.localAddress?.port ?? 0 }

  /// Stops accepting, tells every client by GOAWAY, lets calls in flight finish, and closes.
  /// Connections that are still open after `gracePeriod` are closed hard. Returns when none is left.
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
    _ bound: NIOLoopBound<ServerLoop>, gracePeriod: TimeAmount
  ) -> EventLoopFuture<Void> {
    let loop = bound.value
    var closes: [EventLoopFuture<Void>] = []
    loop.forEachConnection { handler in
      if let channel = handler.context?.channel { closes.append(channel.closeFuture) }
      handler.beginDrain()
    }
    let grace = loop.eventLoop.assumeIsolated().scheduleTask(in: gracePeriod) {
      bound.value.forEachConnection { $0.closeNow() }
    }
    return EventLoopFuture.andAllComplete(closes, on: loop.eventLoop).map { grace.cancel() }
  }
}

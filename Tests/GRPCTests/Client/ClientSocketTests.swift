// What the system is told about the peers of a client's sockets.

import NIOCore
import NIOPosix
import Testing

@testable import GRPC

#if canImport(Glibc)
  import Glibc

  /// Reads the options of its channel.
  private final class OptionReader: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    private let read: EventLoopPromise<[Int]>

    init(_ read: EventLoopPromise<[Int]>) { self.read = read }

    func handlerAdded(context: ChannelHandlerContext) {
      read.completeWith(
        Result {
          try SilentPeers.clientOptions.map { next in
            Int(try context.channel.syncOptions?.getOption(next.option) ?? -1)
          }
        })
    }
  }

  @Suite(.timeLimit(.minutes(15))) struct ClientSocketTests {
    /// A peer that vanished is asked, and bytes that it doesn't acknowledge end the connection.
    @Test func aClientsSocketGivesUpWhoVanishes() async throws {
      let names = SilentPeers.clientOptions.map(\.option.name)
      #expect(names.contains(TCP_USER_TIMEOUT) && names.contains(TCP_KEEPIDLE))
      let group = MultiThreadedEventLoopGroup.singleton
      let server = try await ServerBootstrap(group: group).bind(host: "127.0.0.1", port: 0).get()
      let port = try #require(server.localAddress?.port)
      let loop = group.next()
      let read = loop.makePromise(of: [Int].self)
      loop.execute {
        ClientSocket.connect(
          host: "127.0.0.1", port: port, on: loop, timeout: .seconds(60), tls: nil,
          handler: OptionReader(read)
        ) { _ in read.fail(ChannelError.ioOnClosedChannel) }
      }
      let values = try await read.futureResult.get()
      #expect(values == SilentPeers.clientOptions.map(\.value))
      try await server.close().get()
    }
  }
#endif

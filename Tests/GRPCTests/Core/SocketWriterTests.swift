// Bytes that go straight to a socket, and those that it doesn't take, over real sockets.

import NIOConcurrencyHelpers
import NIOCore
import NIOEmbedded
import NIOPosix
import Testing

@testable import GRPC

/// Writes numbered bytes in pieces as soon as a client is there, more than any socket takes at
/// once.
private final class Source: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  static let pieces = 400
  static let pieceBytes = 64 << 10
  private let writer = SocketWriter()
  private var written = 0

  func channelActive(context: ChannelHandlerContext) {
    writer.open(context)
    writeSome(context)
  }

  /// A few pieces a turn, so that the socket takes some in between.
  private func writeSome(_ context: ChannelHandlerContext) {
    for _ in 0..<7 where written < Self.pieces {
      var piece = ByteBuffer()
      piece.writeRepeatingByte(UInt8(truncatingIfNeeded: written), count: Self.pieceBytes)
      written += 1
      writer.write(&piece, context)
    }
    guard written < Self.pieces else { return }
    context.eventLoop.assumeIsolated().scheduleTask(in: .microseconds(200)) {
      self.writeSome(context)
    }
  }

  func channelInactive(context: ChannelHandlerContext) { writer.close() }
}

/// Takes what comes and checks that it is in order.
private final class Sink: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer

  private let done: EventLoopPromise<Int>
  private var received = 0
  private var wrong = 0

  init(done: EventLoopPromise<Int>) { self.done = done }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    for byte in unwrapInboundIn(data).readableBytesView {
      if byte != UInt8(truncatingIfNeeded: received / Source.pieceBytes) { wrong += 1 }
      received += 1
    }
    if received == Source.pieces * Source.pieceBytes { done.succeed(wrong) }
  }

  func channelInactive(context: ChannelHandlerContext) { done.fail(ChannelError.eof) }
}

@Suite(.timeLimit(.minutes(15))) struct SocketWriterTests {
  @Test func whatASocketDoesNotTakeComesInOrder() async throws {
    let group = MultiThreadedEventLoopGroup.singleton
    let server = try await ServerBootstrap(group: group)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(Source())
        }
      }
      .bind(host: "127.0.0.1", port: 0).get()
    let loop = group.next()
    let done = loop.makePromise(of: Int.self)
    let client = try await ClientBootstrap(group: loop)
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(Sink(done: done))
        }
      }
      .connect(host: "127.0.0.1", port: server.localAddress?.port ?? 0).get()
    #expect(try await done.futureResult.get() == 0)
    try await client.close().get()
    try await server.close().get()
  }

  @Test func withoutASocketTheChannelWrites() throws {
    final class Handler: ChannelInboundHandler {
      typealias InboundIn = ByteBuffer
      let writer = SocketWriter()
      func channelActive(context: ChannelHandlerContext) {
        writer.open(context)
        for text in ["one", "two"] {
          var bytes = ByteBuffer(string: text)
          writer.write(&bytes, context)
        }
      }
    }
    let channel = EmbeddedChannel(handler: Handler())
    try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
    #expect(try channel.readOutbound(as: ByteBuffer.self) == nil, "flushed from within an event")
    channel.embeddedEventLoop.run()
    #expect(try channel.readOutbound(as: ByteBuffer.self) == ByteBuffer(string: "one"))
    #expect(try channel.readOutbound(as: ByteBuffer.self) == ByteBuffer(string: "two"))
  }
}

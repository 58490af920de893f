// A client of the line protocol, for tests of users.

import NIOCore
import NIOPosix

/// One line connection.
final class LineClient: Sendable {
  private let channel: any Channel
  private let lines: AsyncThrowingStream<String, any Error>

  init(port: Int) async throws {
    let (lines, feed) = AsyncThrowingStream.makeStream(of: String.self)
    channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(LineCollector(feed))
        }
      }
      .connect(host: "127.0.0.1", port: port).get()
    self.lines = lines
  }

  /// The first line of the reply to each command, all of which are sent at once; a list's further
  /// lines are passed over.
  func send(_ commands: String...) async throws -> [String] {
    let text = commands.map { "\($0)\r\n" }.joined()
    try await channel.writeAndFlush(ByteBuffer(string: text))
    var replies: [String] = []
    var left = 0
    for try await line in lines {
      if left > 0 {
        left -= 1
      } else {
        replies.append(line)
        if line.hasPrefix("*") { left = Int(line.dropFirst()) ?? 0 }
      }
      if replies.count == commands.count, left == 0 { break }
    }
    return replies
  }

  /// The whole reply to a command: one line, or a list's first line and those that follow it.
  func reply(to command: String) async throws -> [String] {
    try await channel.writeAndFlush(ByteBuffer(string: "\(command)\r\n"))
    var reply: [String] = []
    var count = 1
    for try await line in lines {
      if reply.isEmpty, line.hasPrefix("*") { count += Int(line.dropFirst()) ?? 0 }
      reply.append(line)
      if reply.count == count { break }
    }
    return reply
  }

  func close() async throws { try await channel.close() }
}

private final class LineCollector: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer

  private let feed: AsyncThrowingStream<String, any Error>.Continuation
  private var held = ""

  init(_ feed: AsyncThrowingStream<String, any Error>.Continuation) {
    self.feed = feed
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    held += String(buffer: unwrapInboundIn(data))
    while let end = held.firstRange(of: "\r\n") {
      feed.yield(String(held[..<end.lowerBound]))
      held = String(held[end.upperBound...])
    }
  }

  func channelInactive(context: ChannelHandlerContext) { feed.finish() }
}

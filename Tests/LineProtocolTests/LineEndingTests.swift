// The end of a client's side, on a loop whose turns the test runs.

import GRPC
import Logging
import NIOCore
import NIOEmbedded
import Testing

@testable import LineProtocol

@Suite struct LineEndingTests {
  private let eventLoop = EmbeddedEventLoop()
  private let connections = NodeConnections()
  private let loop: LineLoop

  init() {
    let node = FakeNode()
    node.repliesAtOnce = true
    loop = LineLoop(
      eventLoop: eventLoop,
      node: LineNode(port: node, flusher: FlushCoalescer(eventLoop: eventLoop)),
      configuration: LineConfiguration(), connections: connections,
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
  }

  private func connect() throws -> EmbeddedChannel {
    let place = try #require(connections.admit(nil))
    let channel = EmbeddedChannel(
      handler: LineConnection(loop: loop, place: place), loop: eventLoop)
    try channel.connect(to: SocketAddress(unixDomainSocketPath: "/test")).wait()
    return channel
  }

  @Test func aReplyThatIsHeldIsWrittenAfterTheRelease() throws {
    let channel = try connect()
    loop.node.flusher.hold()
    try channel.writeInbound(ByteBuffer(string: "PING\n"))
    eventLoop.run()
    #expect(try channel.readOutbound(as: ByteBuffer.self) == nil)
    loop.node.flusher.release()
    eventLoop.run()
    let reply = try channel.readOutbound(as: ByteBuffer.self)
    #expect(reply.map { String(buffer: $0) } == "+PONG\r\n")
  }

  @Test func repliesOfATickDoNotWaitForConnectionsThatEndInIt() throws {
    let leaving = try (0..<3).map { _ in try connect() }
    let staying = try connect()
    for channel in leaving {
      channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
    }
    try staying.writeInbound(ByteBuffer(string: "PING\n"))
    eventLoop.run()
    let reply = try staying.readOutbound(as: ByteBuffer.self)
    #expect(reply.map { String(buffer: $0) } == "+PONG\r\n")
    for channel in leaving { #expect(channel.isActive) }
    eventLoop.advanceTime(by: .milliseconds(1))
    for channel in leaving { #expect(!channel.isActive) }
    #expect(connections.open == 1)
  }
}

// What line clients make a node hold, on a loop whose turns the test runs: it is bounded in all, and
// past the bound those that hold the most are ended. With gRPC's clients of the loop it is one
// account.

import GRPC
import Logging
import NIOCore
import NIOEmbedded
import Testing

@testable import LineProtocol

/// A socket that takes nothing: what is written to it waits in the channel.
private final class ShutSocket: ChannelOutboundHandler, RemovableChannelHandler {
  typealias OutboundIn = ByteBuffer
  private var writes: [EventLoopPromise<Void>?] = []

  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    writes.append(promise)
  }

  func handlerRemoved(context: ChannelHandlerContext) {
    for promise in writes { promise?.fail(ChannelError.ioOnClosedChannel) }
  }
}

@Suite struct LineMemoryTests {
  private static let bytesMax = 4 << 20
  private let eventLoop = EmbeddedEventLoop()
  private let connections = NodeConnections()
  private let loop: LineLoop

  init() {
    var configuration = LineConfiguration()
    configuration.maxHeldBytes = Self.bytesMax
    let node = FakeNode()
    node.repliesAtOnce = true
    loop = LineLoop(
      eventLoop: eventLoop,
      node: LineNode(port: node, flusher: FlushCoalescer(eventLoop: eventLoop)),
      configuration: configuration, connections: connections,
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
  }

  private func connect(reads: Bool = true) throws -> EmbeddedChannel {
    let place = try #require(connections.admit(nil))
    let channel = EmbeddedChannel(
      handler: LineConnection(loop: loop, place: place), loop: eventLoop)
    try channel.connect(to: SocketAddress(unixDomainSocketPath: "/test")).wait()
    if !reads {
      try channel.pipeline.syncOperations.addHandler(ShutSocket(), position: .first)
    }
    return channel
  }

  private func turns() {
    for _ in 0..<20 { eventLoop.advanceTime(by: .milliseconds(1)) }
  }

  private func ask(_ channel: EmbeddedChannel, _ line: String) throws -> String? {
    try channel.writeInbound(ByteBuffer(string: line + "\n"))
    turns()
    return try channel.readOutbound(as: ByteBuffer.self).map { String(buffer: $0) }
  }

  private var cut: Int { connections.count(of: .memoryBudget) }

  @Test func repliesThatSocketsDoNotTakeAreBoundedInAll() throws {
    let honest = try connect()
    let reply = String(repeating: "x", count: 60_000)
    let crowd = try (0..<12).map { _ in try connect(reads: false) }
    for channel in crowd {
      for _ in 0..<10 {
        try channel.writeInbound(ByteBuffer(string: "ECHO \(reply)\n"))
        eventLoop.run()
        #expect(loop.clientMemory.bytes <= Self.bytesMax)
      }
      #expect(try ask(honest, "PING") == "+PONG\r\n")
    }
    #expect(loop.clientMemory.bytes > 600_000, "what waits in channels is counted")
    #expect(cut > 4 && crowd.filter { !$0.isActive }.count == cut)
    #expect(honest.isActive)
  }

  @Test func repliesThatWaitForOthersAreCountedAsWell() throws {
    let channel = try connect()
    channel.isWritable = false
    let reply = String(repeating: "x", count: 60_000)
    for _ in 0..<10 { try channel.writeInbound(ByteBuffer(string: "ECHO \(reply)\n")) }
    eventLoop.run()
    #expect(loop.clientMemory.bytes >= 10 * 60_000)
    channel.isWritable = true
    channel.pipeline.fireChannelWritabilityChanged()
    turns()
    // Nothing tells that the socket has taken them: a sweep finds it.
    eventLoop.advanceTime(by: .seconds(6))
    #expect(loop.clientMemory.bytes == 0)
  }

  @Test func theLargestUnfinishedRequestsGoAndTheirClientsAreInformed() throws {
    let honest = try connect()
    let large = String(repeating: "x", count: 900_000)
    try honest.writeInbound(ByteBuffer(string: "*3\nSET\nk\n\(large)"))
    let crowd = try (0..<6).map { _ in try connect() }
    for channel in crowd {
      try channel.writeInbound(ByteBuffer(string: "*3\nSET\nk\n\(large)\(large)"))
      turns()
      #expect(loop.clientMemory.bytes <= Self.bytesMax)
    }
    #expect(cut == 5)
    let told = try crowd[0].readOutbound(as: ByteBuffer.self).map { String(buffer: $0) }
    #expect(told == "-OVERLOADED The node holds too many bytes of unfinished requests.\r\n")
    // One that holds less continues.
    #expect(try ask(honest, "") == "+OK\r\n")
  }

  @Test func whatIsHeldIsGivenBackWithItsConnection() throws {
    let half = try connect()
    try half.writeInbound(ByteBuffer(string: "*3\nSET\nk\n" + String(repeating: "x", count: 1_000)))
    let unread = try connect(reads: false)
    try unread.writeInbound(ByteBuffer(string: "PING\n"))
    turns()
    #expect(loop.clientMemory.bytes > 1_000)
    for channel in [half, unread] { channel.pipeline.fireChannelInactive() }
    turns()
    #expect(loop.clientMemory.bytes == 0)
  }

  @Test func clientsOfGRPCAndOfLinesAreOneAccount() throws {
    let flusher = FlushCoalescer(eventLoop: eventLoop)
    let memory = ClientMemory(bytesMax: 1 << 20, messageBytesMax: 1 << 10)
    flusher.scheduler.meter.clientMemory = memory
    let lines = LineLoop(
      eventLoop: eventLoop, node: LineNode(port: FakeNode(), flusher: flusher),
      configuration: LineConfiguration(), connections: connections,
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    #expect(lines.clientMemory === memory)
  }
}

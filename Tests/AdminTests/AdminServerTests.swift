// The admin port with sockets: its end while a page is being made, and a client that reads nothing.

import GRPC
import Logging
import NIOCore
import NIOPosix
import Synchronization
import Testing

@testable import Admin

private final class Count: Sendable {
  private let value = Atomic(0)

  func next() -> Int { value.wrappingAdd(1, ordering: .relaxed).newValue }
}

/// A page that is being made waits here.
private final class Gate: Sendable {
  private let state = Mutex<(isOpen: Bool, waiting: [CheckedContinuation<Void, Never>])>(
    (false, []))

  func wait() async {
    await withCheckedContinuation { continuation in
      let isOpen = state.withLock { state in
        if !state.isOpen { state.waiting.append(continuation) }
        return state.isOpen
      }
      if isOpen { continuation.resume() }
    }
  }

  func open() {
    let waiting = state.withLock { state in
      state.isOpen = true
      defer { state.waiting = [] }
      return state.waiting
    }
    for each in waiting { each.resume() }
  }
}

/// A connection, and all that came on it until its end.
private final class SocketClient: ChannelInboundHandler, Sendable {
  typealias InboundIn = ByteBuffer

  private let received = Mutex("")
  let channel: any Channel

  static func connect(_ port: Int, reads: Bool = true) async throws -> SocketClient {
    let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .channelOption(.autoRead, value: reads)
      .connect(host: "127.0.0.1", port: port).get()
    let client = SocketClient(channel)
    try await channel.pipeline.addHandler(client).get()
    return client
  }

  private init(_ channel: any Channel) {
    self.channel = channel
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let text = String(buffer: unwrapInboundIn(data))
    received.withLock { $0 += text }
  }

  func send(_ text: String) async throws {
    try await channel.writeAndFlush(ByteBuffer(string: text))
  }

  /// All that came, when the connection has ended.
  func all() async throws -> String {
    try await channel.closeFuture.get()
    return received.withLock { $0 }
  }
}

@Suite struct AdminServerTests {
  private static let request = "GET /page HTTP/1.1\r\nHost: a\r\n\r\n"

  /// No limit that a busy machine could reach.
  private static let patient: AdminLimits = {
    var limits = AdminLimits()
    limits.requestNanosMax = 600_000_000_000
    limits.answerNanosMax = 600_000_000_000
    limits.writeNanosMax = 600_000_000_000
    return limits
  }()

  private func server(
    _ limits: AdminLimits = patient, page: @escaping @Sendable () async -> String
  ) async throws -> (server: AdminServer, connections: NodeConnections) {
    var configuration = AdminConfiguration()
    configuration.limits = limits
    let connections = AdminServer.connections(limits)
    let server = try await AdminServer.start(
      configuration, connections: connections,
      routes: [AdminRoute("/page", access: .open) { _ in .line(.ok, await page()) }],
      counters: AdminCounters(), logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    return (server, connections)
  }

  @Test func aPageThatIsBeingMadeWhenThePortEndsComesWholeAndIsTheLast() async throws {
    let (gate, begun) = (Gate(), Gate())
    let text = String(repeating: "x", count: 2_000_000)
    let (server, _) = try await server {
      begun.open()
      await gate.wait()
      return text
    }
    let (client, idle) = (
      try await SocketClient.connect(server.port), try await SocketClient.connect(server.port)
    )
    try await client.send(Self.request)
    await begun.wait()
    async let drained: Void = server.drain(gracePeriod: .seconds(60))
    // Connections without a request are closed as the drain begins.
    #expect(try await idle.all().isEmpty)
    gate.open()
    let answer = try await client.all()
    await drained
    #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\n") && answer.contains("connection: close"))
    #expect(answer.hasSuffix("\r\n\r\n\(text)\n"))
  }

  @Test func aPageThatIsMadeTooLateFindsAnEndInOrder() async throws {
    let (gate, begun) = (Gate(), Gate())
    let (server, connections) = try await server {
      begun.open()
      await gate.wait()
      return ""
    }
    let client = try await SocketClient.connect(server.port)
    try await client.send(Self.request)
    await begun.wait()
    await server.drain(gracePeriod: .milliseconds(1))
    gate.open()
    #expect(try await client.all().isEmpty)
    #expect(connections.open == 0)
  }

  @Test func aClientThatReadsNothingIsCutAfterATimeAndTheOthersAreServedMeanwhile() async throws {
    var limits = Self.patient
    (limits.writeNanosMax, limits.sweepNanos) = (1_000_000, 1_000_000)
    let pages = Count()
    let text = String(repeating: "x", count: 16 << 20)
    let begun = Gate()
    let (server, connections) = try await server(limits) {
      defer { begun.open() }
      return pages.next() == 1 ? text : "short"
    }
    let deaf = try await SocketClient.connect(server.port, reads: false)
    try await deaf.send(String(repeating: Self.request, count: 100))
    await begun.wait()
    let other = try await SocketClient.connect(server.port)
    try await other.send("GET /page HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    #expect(try await other.all().hasSuffix("\r\n\r\nshort\n"))
    // A socket that isn't read from doesn't tell of its end.
    while connections.count(of: .unreadReplies) == 0 { await Task.yield() }
    #expect(pages.next() == 3, "one answer after another, however many are asked for")
    try? await deaf.channel.close()
    await server.drain(gracePeriod: .seconds(60))
  }
}

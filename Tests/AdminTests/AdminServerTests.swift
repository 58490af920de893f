// The admin port with sockets: its end while a page is being made, clients that read nothing or
// leave, and which of them keep their places.

import GRPC
import Logging
import NIOCore
import NIOPosix
import Synchronization
import Testing
import Users

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

  func hasReceived(_ text: String) -> Bool { received.withLock { $0.contains(text) } }

  /// All that came, when the connection has ended.
  func all() async throws -> String {
    try await channel.closeFuture.get()
    return received.withLock { $0 }
  }
}

@Suite(.timeLimit(.minutes(15))) struct AdminServerTests {
  private static let request = "GET /page HTTP/1.1\r\nHost: a\r\n\r\n"

  private static let lastRequest = "GET /page HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

  /// No limit that a busy machine could reach.
  private static let patient: AdminLimits = {
    var limits = AdminLimits()
    limits.requestNanosMax = 600_000_000_000
    limits.responseNanosMax = 600_000_000_000
    limits.writeNanosMax = 600_000_000_000
    limits.busyNanosMin = 600_000_000_000
    return limits
  }()

  private func server(
    _ limits: AdminLimits = patient, users: UserDirectory? = nil,
    page: @escaping @Sendable () async -> String
  ) async throws -> (server: AdminServer, connections: NodeConnections) {
    var configuration = AdminConfiguration()
    configuration.limits = limits
    configuration.users = users
    let connections = AdminServer.connections(limits)
    let server = try await AdminServer.start(
      configuration, connections: connections,
      routes: ["/page", "/api/page", "/probe"].map { path in
        AdminRoute(path, access: users == nil ? .open : .read, isProbe: path == "/probe") { _ in
          .line(.ok, await page())
        }
      },
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
    let reply = try await client.all()
    await drained
    #expect(reply.hasPrefix("HTTP/1.1 200 OK\r\n") && reply.contains("connection: close"))
    #expect(reply.hasSuffix("\r\n\r\n\(text)\n"))
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
    try await other.send(Self.lastRequest)
    #expect(try await other.all().hasSuffix("\r\n\r\nshort\n"))
    // A socket that isn't read from doesn't tell of its end.
    while connections.count(of: .unreadReplies) == 0 { await Task.yield() }
    #expect(pages.next() == 3, "one reply after another, however many are asked for")
    try? await deaf.channel.close()
    await server.drain(gracePeriod: .seconds(60))
  }

  @Test func atTheLimitASilentConnectionIsClosedForANewOneNotOneThatWaitsForAPage() async throws {
    var limits = Self.patient
    limits.connectionsMax = 2
    let (gate, begun) = (Gate(), Gate())
    let (server, connections) = try await server(limits) {
      begun.open()
      await gate.wait()
      return "page"
    }
    let waiting = try await SocketClient.connect(server.port)
    try await waiting.send(Self.lastRequest)
    await begun.wait()
    let silent = try await SocketClient.connect(server.port)
    let late = try await SocketClient.connect(server.port)
    try await late.send(Self.lastRequest)
    #expect(try await silent.all().isEmpty)
    #expect(connections.count(of: .tooManyConnections) == 1)
    gate.open()
    #expect(try await waiting.all().hasSuffix("\r\n\r\npage\n"))
    #expect(try await late.all().hasSuffix("\r\n\r\npage\n"))
    await server.drain(gracePeriod: .seconds(60))
  }

  @Test func whereEveryConnectionIsAUsersThatWaitsForAPageANewOneIsRefused() async throws {
    var limits = Self.patient
    limits.connectionsMax = 1
    let (gate, begun) = (Gate(), Gate())
    let (server, connections) = try await server(limits, users: try Scraper.users()) {
      begun.open()
      await gate.wait()
      return "page"
    }
    let waiting = try await SocketClient.connect(server.port)
    try await waiting.send(Scraper.request("Connection: close\r\n"))
    await begun.wait()
    // It may be closed before the client has set up its side.
    let refused = try? await SocketClient.connect(server.port)
    #expect(try await refused?.all().isEmpty != false)
    while connections.count(of: .tooManyConnections) == 0 { await Task.yield() }
    gate.open()
    #expect(try await waiting.all().hasSuffix("\r\n\r\npage\n"))
    await server.drain(gracePeriod: .seconds(60))
  }

  @Test func whereNoneIsIdleTheOneServedForLongestIsClosedAndItsPageIsGivenUp() async throws {
    var limits = Self.patient
    limits.connectionsMax = 1
    let (pages, long) = (Count(), CancellablePage())
    let (server, _) = try await server(limits) {
      pages.next() == 1 ? await long.make() : "page"
    }
    let waiting = try await SocketClient.connect(server.port)
    try await waiting.send(Self.lastRequest)
    await long.begun.wait()
    let new = try await SocketClient.connect(server.port)
    try await new.send(Self.lastRequest)
    #expect(try await waiting.all().isEmpty)
    await long.cancelled.wait()
    #expect(try await new.all().hasSuffix("\r\n\r\npage\n"))
    await server.drain(gracePeriod: .seconds(60))
  }

  @Test func clientsWithoutACredentialGiveWayFirstHoweverShortTheyHaveBeenIdle() async throws {
    var limits = Self.patient
    (limits.connectionsMax, limits.busyNanosMin) = (2, 0)
    let (server, connections) = try await server(limits, users: try Scraper.users()) { "page" }
    let user = try await SocketClient.connect(server.port)
    try await user.send(Scraper.request(""))
    while !user.hasReceived("page\n") { await Task.yield() }
    let refused = try await SocketClient.connect(server.port)
    try await refused.send(Self.request)
    while !refused.hasReceived("HTTP/1.1 401") { await Task.yield() }
    let stranger = try await SocketClient.connect(server.port)
    #expect(try await refused.all().hasPrefix("HTTP/1.1 401"))
    let last = try await SocketClient.connect(server.port)
    #expect(try await stranger.all().isEmpty)
    #expect(connections.count(of: .tooManyConnections) == 2)
    try await user.send(Scraper.request("Connection: close\r\n"))
    #expect(try await user.all().hasSuffix("page\n"))
    try await last.channel.close()
    await server.drain(gracePeriod: .seconds(60))
  }

  @Test func usersThatHaveAllPlacesAndAreIdleDoNotKeepOutAProbe() async throws {
    var limits = Self.patient
    (limits.connectionsMax, limits.busyNanosMin) = (1, 0)
    let (server, _) = try await server(limits, users: try Scraper.users()) { "page" }
    let user = try await SocketClient.connect(server.port)
    try await user.send(Scraper.request(""))
    while !user.hasReceived("page\n") { await Task.yield() }
    let probe = try await SocketClient.connect(server.port)
    try await probe.send(Self.lastRequest)
    #expect(try await probe.all().hasPrefix("HTTP/1.1 401"))
    #expect(try await user.all().hasSuffix("page\n"))
    await server.drain(gracePeriod: .seconds(60))
  }

  /// A page that is cancelled when no client waits for it.
  private struct CancellablePage {
    let begun = Gate()
    let cancelled = Gate()

    func make() async -> String {
      begun.open()
      await withTaskCancellationHandler {
        await cancelled.wait()
      } onCancel: {
        cancelled.open()
      }
      return ""
    }
  }

  @Test(arguments: ["/probe", "/page"])
  func aPageThatIsNotMadeInItsTimeIs503AndOthersAreServedMeanwhile(path: String) async throws {
    var limits = Self.patient
    // The other limit is out of reach: a probe has one of its own.
    if path == "/probe" {
      limits.probeNanosMax = 1_000_000
    } else {
      (limits.probeNanosMax, limits.responseNanosMax) = (600_000_000_000, 1_000_000)
    }
    let (pages, stuck) = (Count(), CancellablePage())
    let (server, _) = try await server(limits) {
      pages.next() == 1 ? await stuck.make() : "page"
    }
    let client = try await SocketClient.connect(server.port)
    try await client.send("GET \(path) HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    await stuck.begun.wait()
    let reply = try await client.all()
    #expect(reply.hasPrefix("HTTP/1.1 503 Service Unavailable\r\n"))
    #expect(reply.hasSuffix("\r\n\r\nAn event loop of the node doesn't respond.\n"))
    await stuck.cancelled.wait()
    let other = try await SocketClient.connect(server.port)
    let otherPath = path == "/probe" ? "/page" : "/probe"
    try await other.send(
      "GET \(otherPath) HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    #expect(try await other.all().hasSuffix("\r\n\r\npage\n"))
    await server.drain(gracePeriod: .seconds(60))
  }

  @Test func aPageIsGivenUpWhenItsClientResetsTheConnection() async throws {
    let page = CancellablePage()
    let (server, _) = try await server { await page.make() }
    let client = try await SocketClient.connect(server.port)
    try await client.send(Self.request)
    await page.begun.wait()
    let socket = try #require(client.channel as? any SocketOptionProvider)
    try await socket.setSoLinger(linger(l_onoff: 1, l_linger: 0)).get()
    try await client.channel.close()
    await page.cancelled.wait()
    await server.drain(gracePeriod: .seconds(60))
  }

  /// Of a script's client that is the end, though it could still read.
  @Test func aPageForScriptsIsGivenUpWhenItsClientClosesItsSide() async throws {
    let page = CancellablePage()
    var limits = Self.patient
    // If it was not given up, the client would read that the page has taken too long.
    limits.responseNanosMax = 60_000_000_000
    let (server, _) = try await server(limits) { await page.make() }
    let client = try await SocketClient.connect(server.port)
    try await client.send("GET /api/page HTTP/1.1\r\nHost: a\r\n\r\n")
    await page.begun.wait()
    try await client.channel.close(mode: .output)
    #expect(try await client.all().isEmpty)
    await page.cancelled.wait()
    await server.drain(gracePeriod: .seconds(60))
  }

  @Test func anotherClientMayCloseItsSideAndReadThePage() async throws {
    let (gate, begun) = (Gate(), Gate())
    let (server, _) = try await server {
      begun.open()
      await gate.wait()
      return "page"
    }
    let client = try await SocketClient.connect(server.port)
    try await client.send(Self.request)
    await begun.wait()
    try await client.channel.close(mode: .output)
    gate.open()
    #expect(try await client.all().hasSuffix("\r\n\r\npage\n"))
    await server.drain(gracePeriod: .seconds(60))
  }
}

/// A user who may scrape.
private enum Scraper {
  static let token = "scraper.rst_secret"

  static func users() throws -> UserDirectory {
    let file = """
      user scraper
        may read
        keys all
        databases all
        token sha256:\(TokenDigest(of: token).hexadecimal)

      """
    return UserDirectory(
      try UsersFile.parse(Array(file.utf8)),
      AccessLedger(nowNanos: { NIODeadline.now().uptimeNanoseconds }))
  }

  static func request(_ fields: String) -> String {
    "GET /page HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer \(token)\r\n\(fields)\r\n"
  }
}

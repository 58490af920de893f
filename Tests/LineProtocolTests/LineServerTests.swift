// The server's own bounds, with real sockets: connections, held bytes, clients that read nothing,
// and the drain.

import GRPC
import Glibc
import LineProtocol
import Logging
import NIOCore
import NIOPosix
import Testing

@Suite(.serialized, .timeLimit(.minutes(15))) struct LineServerTests {
  /// Runs a server on a fake node that replies at once.
  private func withServer(
    _ configuration: LineConfiguration = LineConfiguration(),
    connections: NodeConnections = NodeConnections(),
    _ body: (LineServer) async throws -> Void
  ) async throws {
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 2)
    let server = try await LineServer.start(
      host: "127.0.0.1", port: 0, group: group, configuration: configuration,
      connections: connections, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    ) { loop in
      let node = FakeNode()
      node.repliesAtOnce = true
      return LineNode(port: node, flusher: FlushCoalescer(eventLoop: loop))
    }
    try await body(server)
    await server.drain(gracePeriod: .seconds(5))
    try await group.shutdownGracefully()
  }

  @Test func soManyConnectionsMayBeOpenOnAllLoopsTogether() async throws {
    var limits = ConnectionLimits()
    limits.maxConnections = 3
    let connections = NodeConnections(limits: limits)
    try await withServer(connections: connections) { server in
      let clients = try (0..<3).map { _ in try LineClient(server.port) }
      for client in clients { #expect(client.ask("PING") == "+PONG\r\n") }
      let fourth = try LineClient(server.port)
      #expect(fourth.readToEnd() == "-OVERLOADED The node has 3 connections already.\r\n")
      for client in clients { #expect(client.ask("PING") == "+PONG\r\n") }
      clients[0].close()
      // Its place is free as soon as the server has seen the end.
      var isServed = false
      for _ in 0..<100_000 where !isServed {
        let next = try LineClient(server.port)
        defer { next.close() }
        isServed = next.ask("PING") == "+PONG\r\n"
      }
      #expect(isServed, "the place of a client that left is never free")
      clients.forEach { $0.close() }
      fourth.close()
      #expect(connections.count(of: .tooManyConnections) >= 1)
    }
  }

  @Test func unfinishedRequestsOfAllConnectionsMayHoldSoManyBytes() async throws {
    var configuration = LineConfiguration()
    configuration.maxHeldBytes = 100_000
    try await withServer(configuration) { server in
      let large = try LineClient(server.port)
      large.send("*3\r\nSET\r\nk\r\n" + String(repeating: "x", count: 200_000))
      #expect(
        large.readToEnd() == "-OVERLOADED The node holds too many bytes of unfinished requests.\r\n"
      )
      let small = try LineClient(server.port)
      #expect(small.ask("PING") == "+PONG\r\n")
      large.close()
      small.close()
    }
  }

  @Test func aClientThatReadsNothingForTooLongLosesItsConnection() async throws {
    var configuration = LineConfiguration()
    configuration.progressNanosMax = 50_000_000
    configuration.sweepNanos = 20_000_000
    try await withServer(configuration) { server in
      let client = try LineClient(server.port)
      // Far more replies than the sockets' buffers take, unread: sending fails in the end.
      let echo = "ECHO \(String(repeating: "x", count: 60_000))\n"
      while client.send(echo) {}
      #expect(client.wasCutOff, "sending has failed for another reason than the server's")
      client.close()
    }
  }

  @Test func aDrainEndsIdleConnectionsAndNothingIsAcceptedAnyMore() async throws {
    try await withServer(LineConfiguration()) { server in
      let client = try LineClient(server.port)
      #expect(client.ask("PING") == "+PONG\r\n")
      let port = server.port
      await server.drain(gracePeriod: .seconds(5))
      #expect(client.readToEnd() == "")
      #expect(throws: LineClient.Failure.self) { try LineClient(port) }
      client.close()
    }
  }

  @Test func aPortThatIsTakenIsNamed() async throws {
    try await withServer(LineConfiguration()) { server in
      let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
      do {
        _ = try await LineServer.start(
          host: "127.0.0.1", port: server.port, group: group,
          logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        ) { LineNode(port: FakeNode(), flusher: FlushCoalescer(eventLoop: $0)) }
        Issue.record("two servers on one port")
      } catch let failure as LineServer.ListenFailure {
        #expect(failure.port == server.port)
      }
      try await group.shutdownGracefully()
    }
  }
}

/// A blocking socket; what takes longer than 20 seconds counts as the end.
private final class LineClient {
  struct Failure: Error {}

  private let descriptor: Int32
  private var isClosed = false
  /// Whether sending has failed because the server closed the connection.
  private(set) var wasCutOff = false

  init(_ port: Int) throws {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(port).bigEndian
    address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
    var limit = timeval(tv_sec: 20, tv_usec: 0)
    for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
      setsockopt(
        descriptor, SOL_SOCKET, option, &limit, socklen_t(MemoryLayout<timeval>.size))
    }
    let status = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard status == 0 else {
      close()
      throw Failure()
    }
  }

  /// Returns false once the connection takes nothing more.
  @discardableResult
  func send(_ text: String) -> Bool {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes {
        Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      guard count > 0 else {
        wasCutOff = errno == EPIPE || errno == ECONNRESET
        return false
      }
      rest = rest.dropFirst(count)
    }
    return true
  }

  /// Sends a line and reads the line of its reply.
  func ask(_ line: String) -> String {
    guard send(line + "\n") else { return "" }
    var reply: [UInt8] = []
    var byte: UInt8 = 0
    while recv(descriptor, &byte, 1, 0) == 1 {
      reply.append(byte)
      if byte == UInt8(ascii: "\n") { break }
    }
    return String(decoding: reply, as: UTF8.self)
  }

  func readToEnd() -> String {
    var all: [UInt8] = []
    var byte: UInt8 = 0
    while recv(descriptor, &byte, 1, 0) == 1 { all.append(byte) }
    return String(decoding: all, as: UTF8.self)
  }

  func close() {
    guard !isClosed else { return }
    isClosed = true
    Glibc.close(descriptor)
  }
}

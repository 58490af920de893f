// Who gets no connection: peers without the right certificate or protocol, those that speak no TLS,
// and those that leave in the middle of their handshake or never end it.

import NIOCore
import NIOPosix
import NIOSSL
import TestCertificates
import Testing

@testable import GRPC

@Suite(.timeLimit(.minutes(15))) struct TLSRefusalTests {
  private let ours: TestCertificates
  private let strangers: TestCertificates

  init() throws {
    ours = try Certificates.ours.get()
    strangers = try Certificates.strangers.get()
  }

  // MARK: - Certificates

  @Test func aClientRefusesACertificateOfAnAuthorityThatItDoesNotTrust() async throws {
    try await withEncryptedServer(.server(strangers.router)) {
      (server: EncryptedServer) async throws in
      let said = await server.call(try .trusting(ours.authority))
      #expect(
        said?.contains(
          "TLS: the peer's certificate is not of the certificate authority, or not valid now")
          == true, "\(said ?? "")")
      #expect(try await server.call(.trusting(strangers.authority)) == nil)
    }
  }

  @Test func aClientRefusesACertificateForAnotherName() async throws {
    try await withEncryptedServer(.server(ours.router)) { (server: EncryptedServer) async throws in
      let said = await server.call(
        try .trusting(ours.authority, serverName: "elsewhere.example"))
      #expect(
        said?.contains("TLS: the peer's certificate is for another name") == true, "\(said ?? "")")
      #expect(try await server.call(.trusting(ours.authority, serverName: "router")) == nil)
    }
  }

  @Test func aClientRefusesAnExpiredCertificate() async throws {
    try await withEncryptedServer(.server(try ours.expired("old"))) {
      (server: EncryptedServer) async throws in
      let said = await server.call(try .trusting(ours.authority))
      #expect(said?.contains("not valid now") == true, "\(said ?? "")")
    }
  }

  @Test func aServerThatRequestsCertificatesRefusesWhoHasNoneOrAWrongOne() async throws {
    let files = TLSFiles.server(ours.router, clientAuthority: ours.authority)
    try await withEncryptedServer(files) { (server: EncryptedServer) async throws in
      let clients = [
        try ClientTLS.trusting(ours.authority),
        try ClientTLS.trusting(ours.authority, strangers.client),
        try ClientTLS.trusting(ours.authority, try ours.expired("old")),
      ]
      for client in clients {
        let said = await server.call(client)
        #expect(said != nil)
      }
      #expect(server.connections.count(of: .handshakeFailed) == clients.count)
      #expect(server.log.calls == 0)
      #expect(try await server.call(.trusting(ours.authority, ours.client)) == nil)
    }
  }

  @Test func whereCertificatesAreOptionalAWrongOneIsRefusedAllTheSame() async throws {
    let files = TLSFiles.server(
      ours.router, clientAuthority: ours.authority, clientCertificates: .optional)
    try await withEncryptedServer(files) { (server: EncryptedServer) async throws in
      #expect(try await server.call(.trusting(ours.authority, strangers.client)) != nil)
      #expect(try await server.call(.trusting(ours.authority)) == nil)
    }
  }

  // MARK: - Protocols

  @Test(arguments: [[], ["http/1.1"], ["h3", "spdy"]])
  func aClientThatDoesNotAskForHTTP2IsRefused(protocols: [String]) async throws {
    try await withEncryptedServer(.server(ours.router)) { (server: EncryptedServer) async throws in
      let tls = try ClientTLS.trusting(ours.authority) { $0.applicationProtocols = protocols }
      let said = await server.call(tls)
      #expect(said?.contains("ALPN") == true, "\(said ?? "")")
      #expect(await eventually { server.connections.count(of: .wrongALPN) == 1 })
      #expect(await eventually { server.connections.open == 0 })
    }
  }

  @Test func aClientWithoutTLSIsClosed() async throws {
    try await withEncryptedServer(.server(ours.router)) { (server: EncryptedServer) async throws in
      #expect(await server.call(nil) != nil)
      #expect(server.connections.count(of: .handshakeFailed) > 0)
      #expect(try await server.call(.trusting(ours.authority)) == nil)
    }
  }

  @Test func aClientWithTLSLearnsThatTheServerHasNone() async throws {
    try await withLoopback { _, running, _ in
      var configuration = ClientChannelConfiguration()
      configuration.connection.tls = try .trusting(ours.authority)
      configuration.connection.connectTimeout = .minutes(10)
      let channel = ClientChannel(
        host: "127.0.0.1", port: running.port, eventLoop: MultiThreadedGroup.next(),
        configuration: configuration)
      defer { channel.close() }
      do throws(RPCStatus) {
        _ = try await channel.unary(path: "/t/Echo") { $0.writeString("x") }
        Issue.record("a call went through")
      } catch {
        #expect(error.code == .unavailable)
        #expect(error.message.contains("TLS: the peer doesn't use TLS"), "\(error.message)")
      }
    }
  }

  // MARK: - Broken handshakes

  @Test func garbageIsClosedAtOnceAndCostsOthersNothing() async throws {
    try await withEncryptedServer(.server(ours.router)) { (server: EncryptedServer) async throws in
      let good = server.channel(try .trusting(ours.authority))
      defer { good.close() }
      let hello = try clientHello(ours.authority)
      let broken: [[UInt8]] = [
        Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8), Array("GET / HTTP/1.1\r\n\r\n".utf8),
        [0], [22, 3, 1, 0, 0], [22, 3, 1, 0, 4, 1, 2, 3, 4],
        [22] + Array(repeating: 255, count: 99),
        Array(hello.prefix(9)) + Array(repeating: 0, count: hello.count),
        hello + Array(repeating: 7, count: 500), hello + hello,
      ]
      for bytes in broken {
        let socket = try BareSocket(server.port)
        socket.send(bytes)
        // Some may be the beginning of something: they end when the client does.
        if bytes.count > 100 || bytes.first != 22 { _ = socket.readToEnd() }
        socket.close()
        let reply = try await good.unary(path: "/t/Echo") { $0.writeString("x") }
        #expect(String(buffer: reply) == "x")
      }
      #expect(await eventually { server.connections.open == 1 })
    }
  }

  @Test func aClientThatLeavesInItsHandshakeLeavesNothingBehind() async throws {
    try await withEncryptedServer(.server(ours.router)) { (server: EncryptedServer) async throws in
      let hello = try clientHello(ours.authority)
      for length in [0, 1, 4, 5, 40, hello.count - 1, hello.count] {
        for _ in 0..<10 {
          let socket = try BareSocket(server.port)
          socket.send(Array(hello.prefix(length)))
          // With the whole of it the server replies; that may be waited for or not.
          if length == hello.count { #expect(!socket.read().isEmpty) }
          socket.close()
        }
      }
      #expect(await eventually { server.connections.handshakes.abandoned == 70 })
      #expect(server.connections.open == 0)
      #expect(server.connections.count(of: .handshakeFailed) == 0)
      #expect(try await server.call(.trusting(ours.authority)) == nil)
    }
  }

  @Test func aHandshakeThatIsNotCompletedInTimeIsEnded() async throws {
    try await withEncryptedServer(
      .server(ours.router), change: { $0.timeoutNanos = 50_000_000 }
    ) { (server: EncryptedServer) async throws in
      let hello = try clientHello(ours.authority)
      let sockets = try [0, 3, hello.count].map { length in
        let socket = try BareSocket(server.port)
        socket.send(Array(hello.prefix(length)))
        return socket
      }
      for socket in sockets { _ = socket.readToEnd() }
      #expect(server.connections.count(of: .handshakeTimeout) == 3)
      #expect(await eventually { server.connections.open == 0 })
    }
  }

  @Test func whenTooManyAreUnderWayTheOldestEndsForANewOne() async throws {
    try await withEncryptedServer(.server(ours.router), change: { $0.handshakesMax = 4 }) {
      (server: EncryptedServer) async throws in
      let silent = try (0..<12).map { _ in try BareSocket(server.port) }
      #expect(await eventually { server.connections.count(of: .tooManyHandshakes) >= 8 })
      #expect(silent[0].readToEnd().isEmpty)
      for _ in 0..<5 { #expect(try await server.call(.trusting(ours.authority)) == nil) }
      #expect(await eventually { server.connections.open <= 4 })
      for socket in silent { socket.close() }
      #expect(await eventually { server.connections.open == 0 })
    }
  }
}

/// The group that tests share.
private enum MultiThreadedGroup {
  static func next() -> any EventLoop { MultiThreadedEventLoopGroup.singleton.next() }
}

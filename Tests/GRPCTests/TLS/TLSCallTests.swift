// Calls over TLS: both versions, long messages, streams with shut windows, what is known of the
// peer, and the end of a connection.

import Dispatch
import NIOCore
import NIOPosix
import NIOSSL
import TestCertificates
import Testing

@testable import GRPC

@Suite(.timeLimit(.minutes(15))) struct TLSCallTests {
  private let ours: TestCertificates

  init() throws { ours = try Certificates.ours.get() }

  @Test(arguments: [TLSVersion.tlsv12, .tlsv13])
  func callsGetTheirRepliesInBothVersions(version: TLSVersion) async throws {
    try await withEncryptedServer(.server(ours.router)) { (server: EncryptedServer) async throws in
      let tls = try ClientTLS.trusting(ours.authority) {
        $0.minimumTLSVersion = version
        $0.maximumTLSVersion = version
      }
      let channel = server.channel(tls)
      defer { channel.close() }
      for size in [0, 1, 16 << 10, 70_000, 3_000_000] {
        let reply = try await channel.unary(path: "/t/Echo") {
          $0.writeRepeatingByte(9, count: size)
        }
        #expect(reply.readableBytes == size)
        var sent = ByteBuffer()
        sent.writeRepeatingByte(9, count: size)
        #expect(reply == sent)
      }
    }
  }

  @Test(arguments: [TLSVersion.tlsv1, .tlsv11])
  func olderVersionsAreRefused(version: TLSVersion) async throws {
    try await withEncryptedServer(.server(ours.router)) { (server: EncryptedServer) async throws in
      let tls = try ClientTLS.trusting(ours.authority) {
        $0.minimumTLSVersion = version
        $0.maximumTLSVersion = version
        $0.cipherSuiteValues = [.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA]
      }
      #expect(await server.call(tls) != nil)
      #expect(server.connections.count(of: .handshakeFailed) > 0)
      #expect(try await server.call(.trusting(ours.authority)) == nil)
    }
  }

  @Test func manyCallsAtOnceGetTheirReplies() async throws {
    try await withEncryptedServer(.server(ours.router), threads: 2) {
      (server: EncryptedServer) async throws in
      let tls = try ClientTLS.trusting(ours.authority)
      let channels = (0..<4).map { _ in server.channel(tls) }
      defer { for channel in channels { channel.close() } }
      try await withThrowingTaskGroup { group in
        for number in 0..<400 {
          group.addTask {
            let text = String(repeating: "\(number),", count: number * 20)
            let reply = try await channels[number % 4].unary(path: "/t/Echo") {
              $0.writeString(text)
            }
            return String(buffer: reply) == text
          }
        }
        for try await isRight in group { #expect(isRight) }
      }
      #expect(server.connections.handshakes.completed == 4)
    }
  }

  /// The client's window is shut again and again: it takes message after message, with pauses
  /// decided by what came.
  @Test func aLongReplyWaitsForItsReader() async throws {
    try await withEncryptedServer(.server(ours.router)) { (server: EncryptedServer) async throws in
      let channel = server.channel(try .trusting(ours.authority))
      defer { channel.close() }
      let messages = 6_000
      var count = 0
      for try await message in try await channel.serverStreaming(
        path: "/t/Count", write: { $0.writeRepeatingByte(1, count: messages) })
      {
        #expect(message.readableBytes == 1_000)
        count += 1
        if count % 1_000 == 0 { await Task.yield() }
      }
      #expect(count == messages)
    }
  }

  /// A client whose loop stands still takes nothing from its socket, with windows wide open.
  @Test func whatASocketDoesNotTakeComesLaterAndWhole() async throws {
    try await withEncryptedServer(.server(ours.router)) { (server: EncryptedServer) async throws in
      let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
      var configuration = ClientChannelConfiguration()
      configuration.connection.tls = try .trusting(ours.authority)
      configuration.connection.streamWindowBytes = 1 << 30
      configuration.connection.connectionWindowBytes = 1 << 30
      configuration.connection.connectTimeout = .minutes(10)
      let channel = ClientChannel(
        host: "127.0.0.1", port: server.port, eventLoop: group.next(), configuration: configuration)
      let messages = 20_000
      let stream = channel.stream(path: "/t/Count")
      var replies = stream.messages.makeAsyncIterator()
      // The connection is made before its loop is stopped.
      _ = try await channel.unary(path: "/t/Echo") { $0.writeString("x") }
      try await stream.send { $0.writeRepeatingByte(1, count: messages) }
      #expect(try await replies.next()?.readableBytes == 1_000)
      let continues = DispatchSemaphore(value: 0)
      group.next().execute { continues.wait() }
      // Until the server can send no more; sooner would only make the test easier.
      var sent = -1
      while sent != server.log.sent {
        sent = server.log.sent
        try await Task.sleep(for: .milliseconds(200))
      }
      continues.signal()
      var count = 1
      while count < messages, let reply = try await replies.next() {
        #expect(reply.readableBytes == 1_000)
        count += 1
      }
      #expect(count == messages)
      stream.halfClose()
      channel.close()
      try await group.shutdownGracefully()
    }
  }

  @Test func theServerKnowsTheNamesOfAClientsCertificate() async throws {
    let files = TLSFiles.server(ours.router, clientAuthority: ours.authority)
    try await withEncryptedServer(files) { (server: EncryptedServer) async throws in
      #expect(try await server.call(.trusting(ours.authority, ours.shard)) == nil)
      let names: [PeerIdentity.Name] = [
        .uri("spiffe://ringstore/shard"), .dns("localhost"), .dns("shard-a"), .dns("shard-b"),
        .dns("shard-c"),
      ]
      #expect(server.log.peers == [PeerIdentity(isEncrypted: true, names: names)])
    }
  }

  @Test func aClientWithoutACertificateHasNoName() async throws {
    let files = TLSFiles.server(
      ours.router, clientAuthority: ours.authority, clientCertificates: .optional)
    try await withEncryptedServer(files) { (server: EncryptedServer) async throws in
      #expect(try await server.call(.trusting(ours.authority)) == nil)
      #expect(server.log.peers == [PeerIdentity(isEncrypted: true)])
    }
  }

  @Test func withoutTLSNothingIsKnown() async throws {
    try await withLoopback { channel, _, log in
      _ = try await channel.unary(path: "/t/Echo") { $0.writeString("x") }
      #expect(log.peers == [.plaintext])
    }
  }

  @Test func aDrainLetsCallsFinishAndClosesTheConnection() async throws {
    try await withEncryptedServer(.server(ours.router)) { (server: EncryptedServer) async throws in
      let channel = server.channel(try .trusting(ours.authority))
      let stream = channel.stream(path: "/t/Stream")
      try await stream.send { $0.writeString("first") }
      var messages = stream.messages.makeAsyncIterator()
      #expect(try await messages.next().map { String(buffer: $0) } == "first")
      async let drained: Void = server.server.drain(gracePeriod: .seconds(60))
      try await stream.send { $0.writeString("last") }
      #expect(try await messages.next().map { String(buffer: $0) } == "last")
      stream.halfClose()
      #expect(try await messages.next() == nil)
      await drained
      #expect(server.connections.open == 0)
      channel.close()
    }
  }
}

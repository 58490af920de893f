// A client's calls whose messages are in gzip, either way.

import HTTP2
import NIOCore
import Testing

@testable import GRPC

@Suite struct ClientCompressionTests {
  static let text = Array(repeating: UInt8(ascii: "a"), count: 5_000)

  /// A call that has got headers of these fields, and its stream.
  private func replied(
    _ peer: InMemoryPeer, _ handler: RecordingHandler, _ fields: [(String, String)]
  ) throws -> HTTP2Stream {
    let stream = try peer.open(handler)
    peer.respond(stream, headers: fields)
    return stream
  }

  private func send(_ peer: InMemoryPeer, _ stream: HTTP2Stream, body: [UInt8]) {
    stream.outbound.writeBytes(body)
    peer.session.bodyChanged(stream)
    peer.finish(stream)
    peer.exchange()
  }

  @Test func messagesInGzipAreInflatedEachByItself() throws {
    let peer = try InMemoryPeer()
    let handler = RecordingHandler()
    var counts: [Int] = []
    handler.onMessage = { counts.append($0.compressedMessages) }
    let stream = try replied(peer, handler, [("grpc-encoding", "gzip")])
    peer.chunkBytes = 7
    let compressed = CompressionTests.frame(Self.text)
    send(peer, stream, body: compressed + ServerHarness.frame([1, 2]) + compressed)
    #expect(handler.messages == [Self.text, [1, 2], Self.text])
    #expect(counts == [1, 1, 2])
    #expect(handler.status == .ok)
  }

  @Test(arguments: [nil, "identity", "deflate", "snappy"])
  func aCompressedMessageInAnotherEncodingIsInternal(_ encoding: String?) throws {
    let peer = try InMemoryPeer()
    let handler = RecordingHandler()
    let stream = try replied(peer, handler, encoding.map { [("grpc-encoding", $0)] } ?? [])
    send(peer, stream, body: CompressionTests.frame(Self.text))
    #expect(handler.status?.code == .internal)
    #expect(handler.messages.isEmpty)
    #expect(peer.connection.openCalls == 0)
  }

  @Test func aMessageThatInflatesPastTheLimitIsResourceExhausted() throws {
    var configuration = ClientConfiguration()
    configuration.maxMessageBytes = 4_999
    let peer = try InMemoryPeer(configuration: configuration)
    let handler = RecordingHandler()
    let stream = try replied(peer, handler, [("grpc-encoding", "gzip")])
    send(peer, stream, body: CompressionTests.frame(Self.text))
    #expect(handler.status?.code == .resourceExhausted)
    #expect(handler.messages.isEmpty)
  }

  @Test func brokenGzipIsInternal() throws {
    let peer = try InMemoryPeer()
    let handler = RecordingHandler()
    let stream = try replied(peer, handler, [("grpc-encoding", "gzip")])
    send(peer, stream, body: [1, 0, 0, 0, 2, 9, 9])
    #expect(handler.status?.code == .internal)
  }

  @Test func aLinkTakesNoGzipAndSaysSo() throws {
    let peer = try InMemoryPeer(configuration: .link(silenceNanosMax: 2_000_000_000))
    let handler = RecordingHandler()
    let stream = try replied(peer, handler, [("grpc-encoding", "gzip")])
    #expect(!peer.fields(stream).contains { $0.0 == "grpc-accept-encoding" })
    send(peer, stream, body: CompressionTests.frame(Self.text))
    #expect(handler.status?.code == .internal)
  }

  @Test func aCallInGzipNamesItAndSendsWhatGetsShorterByIt() throws {
    let peer = try InMemoryPeer()
    let call = peer.connection.startCall(
      path: "/t/Call", encoding: .gzip, handler: RecordingHandler())
    call.send { $0.writeBytes(Self.text) }
    call.send { $0.writeBytes([1, 2, 3]) }
    call.send(isPlain: true) { $0.writeBytes(Self.text) }
    peer.exchange()
    let stream = try #require(peer.streams.first)
    #expect(peer.fields(stream).contains { $0 == ("grpc-encoding", "gzip") })
    let messages = try CompressionTests.messages(Array(stream.inbound.readableBytesView))
    #expect(messages.map(\.isCompressed) == [true, false, false])
    #expect(messages.map(\.bytes) == [Self.text, [1, 2, 3], Self.text])
  }

  @Test func messagesOfACallThatWaitsForAStreamAreCompressedToo() throws {
    var server = HTTP2Configuration()
    server.maxConcurrentStreams = 1
    let peer = try InMemoryPeer(server: server)
    let first = peer.start(RecordingHandler())
    let call = peer.connection.startCall(
      path: "/t/Call", encoding: .gzip, handler: RecordingHandler())
    call.send { $0.writeBytes(Self.text) }
    first.cancel()
    peer.exchange()
    let stream = try #require(peer.streams.last)
    let messages = try CompressionTests.messages(Array(stream.inbound.readableBytesView))
    #expect(messages.map(\.isCompressed) == [true])
  }

  @Test func aCallWithoutAnEncodingNamesNone() throws {
    let peer = try InMemoryPeer()
    let call = peer.start(RecordingHandler())
    call.send { $0.writeBytes(Self.text) }
    peer.exchange()
    let stream = try #require(peer.streams.first)
    #expect(!peer.fields(stream).contains { $0.0 == "grpc-encoding" })
    #expect(try peer.take(stream) == [Self.text])
  }
}

// The client's connection against a peer in memory: calls, metadata, deadlines, back-pressure.

import HTTP2
import NIOCore
import NIOEmbedded
import Testing

@testable import GRPC

@Suite struct ClientConnectionTests {
  @Test func aUnaryCallSendsOneMessageAndGetsOne() throws {
    let peer = try InMemoryPeer()
    let handler = RecordingHandler()
    let call = peer.start(handler)
    call.send { $0.writeString("question") }
    call.halfClose()
    #expect(!call.wasSent)
    peer.exchange()
    #expect(call.wasSent)
    let stream = try #require(peer.streams.first)
    #expect(stream.remoteEnded)
    #expect(try peer.take(stream) == [Array("question".utf8)])
    peer.respond(stream)
    peer.send(stream, Array("reply".utf8))
    peer.finish(stream)
    peer.exchange()
    #expect(handler.messages == [Array("reply".utf8)])
    #expect(handler.status == .ok)
    #expect(handler.processed == .yes)
    #expect(handler.endCount == 1)
    #expect(peer.connection.openCalls == 0)
  }

  @Test func theRequestsHeadersAreThoseOfTheProtocol() throws {
    let peer = try InMemoryPeer()
    var metadata = Metadata()
    metadata.add("Key", "value")
    metadata.addBinary("trace-bin", [0, 255])
    _ = peer.start(
      RecordingHandler(), metadata: metadata, timeoutNanos: 1_500_000_000, path: "/a.B/C")
    peer.exchange()
    let stream = try #require(peer.streams.first)
    let expected = [
      (":method", "POST"), (":scheme", "http"), (":authority", "peer:1"), (":path", "/a.B/C"),
      ("grpc-timeout", "1500000u"), ("te", "trailers"), ("content-type", "application/grpc"),
      ("user-agent", "grpc-swift-ringstore/0.1.0"), ("grpc-accept-encoding", "identity,gzip"),
      ("key", "value"), ("trace-bin", "AP8"),
    ]
    let fields = peer.fields(stream)
    #expect(fields.map(\.0) == expected.map(\.0))
    #expect(fields.map(\.1) == expected.map(\.1))
  }

  @Test func theSchemeOverTLSIsHttps() throws {
    var configuration = ClientConfiguration()
    configuration.tls = try .trusting(Certificates.ours.get().authority)
    let peer = try InMemoryPeer(configuration: configuration)
    _ = peer.start(RecordingHandler())
    peer.exchange()
    let fields = peer.fields(try #require(peer.streams.first))
    #expect(fields.filter { $0.0 == ":scheme" }.map(\.1) == ["https"])
  }

  @Test func metadataComesBackIfWanted() throws {
    let peer = try InMemoryPeer()
    let handler = RecordingHandler()
    handler.wantsMetadata = true
    let stream = try peer.open(handler)
    peer.respond(stream, headers: [("first", "1"), ("blob-bin", "AQI")])
    peer.finish(stream, [("grpc-status", "0"), ("last", "2")])
    peer.exchange()
    #expect(handler.initialMetadata?.firstText("first") == "1")
    #expect(handler.initialMetadata?.first("blob-bin") == [1, 2])
    #expect(handler.trailingMetadata?.entries.map(\.name) == ["last"])
  }

  @Test func messagesOfManyCallsTravelBothWaysInAnyPieces() throws {
    let peer = try InMemoryPeer()
    peer.chunkBytes = 7
    let handlers = (0..<3).map { _ in RecordingHandler() }
    let calls = handlers.map { peer.start($0) }
    for round in 0..<5 {
      for call in calls { call.send { $0.writeRepeatingByte(UInt8(round), count: round * 50) } }
      peer.exchange()
    }
    #expect(peer.streams.count == 3)
    for stream in peer.streams {
      let messages = try peer.take(stream)
      #expect(messages.map(\.count) == [0, 50, 100, 150, 200])
      peer.respond(stream)
      for message in messages { peer.send(stream, message) }
    }
    peer.exchange()
    for handler in handlers {
      #expect(handler.messages.map(\.count) == [0, 50, 100, 150, 200])
      #expect(handler.status == nil)
    }
  }

  @Test func manyMessagesOfOneTickLeaveWithOneWrite() throws {
    let peer = try InMemoryPeer()
    let call = peer.start(RecordingHandler())
    for _ in 0..<100 { call.send { $0.writeString("x") } }
    peer.loop.run()
    let first = try peer.channel.readOutbound(as: ByteBuffer.self)
    let second = try peer.channel.readOutbound(as: ByteBuffer.self)
    #expect(first != nil)
    #expect(second == nil)
  }

  @Test func anErrorStatusComesWithMessageDetailsAndPushback() throws {
    let peer = try InMemoryPeer()
    let handler = RecordingHandler()
    _ = peer.start(handler)
    peer.exchange()
    peer.reply(
      on: try #require(peer.streams.first),
      only: [
        (":status", "200"), ("content-type", "application/grpc+proto"), ("grpc-status", "9"),
        ("grpc-message", "zu%20gro%C3%9F%"), ("grpc-status-details-bin", "AQID"),
        ("grpc-retry-pushback-ms", "250"),
      ])
    peer.exchange()
    #expect(
      handler.status
        == RPCStatus(.failedPrecondition, "zu groß%", details: [1, 2, 3], pushbackMillis: 250))
    #expect(handler.processed == .yes)
  }

  @Test(arguments: [
    ("400", StatusCode.internal), ("401", .unauthenticated), ("403", .permissionDenied),
    ("404", .unimplemented), ("429", .unavailable), ("431", .internal), ("502", .unavailable),
    ("503", .unavailable), ("504", .unavailable), ("418", .unknown), ("500", .unknown),
    ("200", .unknown),
  ])
  func aResponseThatIsNotGRPCIsMapped(_ status: String, _ code: StatusCode) throws {
    let peer = try InMemoryPeer()
    let handler = RecordingHandler()
    _ = peer.start(handler)
    peer.exchange()
    peer.reply(
      on: try #require(peer.streams.first),
      only: [(":status", status), ("content-type", "text/html")])
    peer.exchange()
    #expect(handler.status?.code == code)
    #expect(peer.connection.openCalls == 0)
  }

  @Test func trailersWithoutAStatusAreUnknown() throws {
    let peer = try InMemoryPeer()
    let handler = RecordingHandler()
    let stream = try peer.open(handler)
    peer.respond(stream)
    peer.finish(stream, [("x", "y")])
    peer.exchange()
    #expect(handler.status?.code == .unknown)
    #expect(handler.processed == .maybe)
  }

  @Test(arguments: [
    (HTTP2ErrorCode.refusedStream, StatusCode.unavailable, Processed.no),
    (.cancel, .cancelled, .maybe), (.enhanceYourCalm, .resourceExhausted, .maybe),
    (.inadequateSecurity, .permissionDenied, .maybe), (.internalError, .internal, .maybe),
    (.noError, .internal, .maybe), (.protocolError, .internal, .maybe),
    (.flowControlError, .internal, .maybe), (.settingsTimeout, .internal, .maybe),
    (.streamClosed, .internal, .maybe), (.frameSizeError, .internal, .maybe),
    (.compressionError, .internal, .maybe), (.connectError, .internal, .maybe),
    (.http11Required, .internal, .maybe), (HTTP2ErrorCode(rawValue: 99), .internal, .maybe),
  ])
  func aResetIsMapped(_ code: HTTP2ErrorCode, _ status: StatusCode, _ processed: Processed) throws {
    let peer = try InMemoryPeer()
    let handler = RecordingHandler()
    _ = peer.start(handler)
    peer.exchange()
    peer.session.reset(try #require(peer.streams.first), code: code)
    peer.exchange()
    #expect(handler.status?.code == status)
    #expect(handler.processed == processed)
    #expect(handler.endCount == 1)
  }

  @Test func aMessageOverTheLimitEndsTheCallAndTellsThePeer() throws {
    var configuration = ClientConfiguration()
    configuration.maxMessageBytes = 10
    let peer = try InMemoryPeer(configuration: configuration)
    let handler = RecordingHandler()
    let stream = try peer.open(handler)
    peer.respond(stream)
    peer.send(stream, Array(repeating: 1, count: 10))
    peer.send(stream, Array(repeating: 1, count: 11))
    peer.exchange()
    #expect(handler.messages.count == 1)
    #expect(handler.status?.code == .resourceExhausted)
    #expect(stream.isClosed && stream.closeCode == .cancel)
    #expect(peer.connection.openCalls == 0)
  }

  @Test func aStreamThatEndsInsideAMessageIsAnInternalError() throws {
    let peer = try InMemoryPeer()
    let handler = RecordingHandler()
    let stream = try peer.open(handler)
    peer.respond(stream)
    stream.outbound.writeBytes([0, 0, 0, 0, 9, 1, 2])
    peer.finish(stream)
    peer.exchange()
    #expect(handler.status?.code == .internal)
  }

  @Test func cancellingTellsThePeerAndEndsTheCallOnce() throws {
    let peer = try InMemoryPeer()
    let handler = RecordingHandler()
    let call = peer.start(handler)
    peer.exchange()
    call.cancel()
    #expect(handler.status?.code == .cancelled)
    #expect(handler.processed == .maybe)
    call.cancel()
    call.send { $0.writeString("late") }
    call.halfClose()
    peer.exchange()
    let stream = try #require(peer.streams.first)
    #expect(stream.isClosed && stream.closeCode == .cancel)
    #expect(handler.endCount == 1)
    #expect(peer.connection.openCalls == 0)
  }

  @Test func aCallCancelledBeforeItWasWrittenWasNotProcessed() throws {
    let peer = try InMemoryPeer()
    let handler = RecordingHandler()
    let call = peer.start(handler)
    call.cancel()
    #expect(handler.processed == .no)
    peer.exchange()
    #expect(peer.streams.isEmpty)
    #expect(peer.connection.openCalls == 0)
    let next = RecordingHandler()
    _ = peer.start(next)
    peer.exchange()
    #expect(peer.streams.count == 1)
  }

  @Test func aHandlerMayCancelBetweenTwoMessagesOfOneChunk() throws {
    let peer = try InMemoryPeer()
    let handler = RecordingHandler()
    handler.onMessage = { $0.cancel() }
    let stream = try peer.open(handler)
    peer.respond(stream)
    for _ in 0..<3 { peer.send(stream, [1]) }
    peer.exchange()
    #expect(handler.messages.count == 1)
    #expect(handler.endCount == 1)
  }

  @Test func aHandlerMayCloseTheConnectionFromWithinAMessage() throws {
    let peer = try InMemoryPeer()
    let handler = RecordingHandler()
    handler.onMessage = { $0.connection.close() }
    let other = RecordingHandler()
    _ = peer.start(handler)
    _ = peer.start(other)
    peer.exchange()
    let stream = try #require(peer.streams.first)
    peer.respond(stream)
    for _ in 0..<3 { peer.send(stream, [1]) }
    peer.exchange()
    #expect(handler.messages.count == 1)
    #expect([handler.endCount, other.endCount] == [1, 1])
    #expect(other.status?.code == .unavailable)
    #expect(peer.delegate.lossReasons == [.closedLocally])
  }

  @Test func whenTheDeadlinePassesTheCallEndsAndThePeerIsInformed() throws {
    let peer = try InMemoryPeer()
    let early = RecordingHandler()
    let late = RecordingHandler()
    _ = peer.start(late, timeoutNanos: 2_000_000_000)
    _ = peer.start(early, timeoutNanos: 1_000_000_000)
    peer.exchange()
    peer.loop.advanceTime(by: .milliseconds(999))
    #expect(early.status == nil)
    peer.loop.advanceTime(by: .milliseconds(1))
    #expect(early.status?.code == .deadlineExceeded)
    #expect(early.processed == .maybe)
    #expect(late.status == nil)
    peer.exchange()
    #expect(peer.streams[1].isClosed && peer.streams[1].closeCode == .cancel)
    peer.loop.advanceTime(by: .seconds(1))
    #expect(late.status?.code == .deadlineExceeded)
  }

  @Test func aCallWithAReplyIsNotEndedAgainByItsDeadline() throws {
    let peer = try InMemoryPeer()
    let handler = RecordingHandler()
    _ = peer.start(handler, timeoutNanos: 1_000_000_000)
    peer.exchange()
    let stream = try #require(peer.streams.first)
    peer.respond(stream)
    peer.finish(stream)
    peer.exchange()
    peer.loop.advanceTime(by: .seconds(5))
    #expect(handler.status == .ok)
    #expect(handler.endCount == 1)
  }

  @Test func aPeerThatEndsEarlyNeedsNoHalfClose() throws {
    let peer = try InMemoryPeer()
    let handler = RecordingHandler()
    let call = peer.start(handler)
    call.send { $0.writeString("x") }
    peer.exchange()
    let stream = try #require(peer.streams.first)
    peer.respond(stream)
    peer.finish(stream)
    peer.exchange()
    #expect(handler.status == .ok)
    #expect(peer.connection.openCalls == 0)
    #expect(stream.isClosed)
  }
}

// GOAWAY, PING, resets, the end of a connection, and bounds against hostile peers.

import NIOCore
import Testing

@testable import HTTP2

@Suite struct ConnectionTests {
  @Test func aPingIsReturnedWithItsPayload() throws {
    let wire = try InMemoryWire()
    wire.client.ping(payload: 0x0102_0304_0506_0708)
    wire.pump()
    #expect(wire.clientEvents.contains(.pingAcknowledged(payload: 0x0102_0304_0506_0708)))
    #expect(wire.serverEvents.contains(.pingReceived))
  }

  @Test func drainLetsRunningStreamsFinishAndThenEnds() throws {
    let wire = try InMemoryWire()
    var open: HTTP2Stream?
    wire.onServer = { _, stream in open = stream }
    _ = wire.request(body: [1])
    wire.pump()
    wire.server.announceShutdown()
    wire.pump()
    #expect(!wire.server.isFinished)
    wire.server.shutDown()
    wire.pump()
    #expect(
      wire.clientEvents.contains(.goAway(lastStreamID: .max, code: .noError, debug: "")))
    #expect(wire.clientEvents.contains(.goAway(lastStreamID: 1, code: .noError, debug: "")))
    #expect(!wire.server.isFinished)
    #expect(wire.client.submitRequest(InMemoryWire.requestHeaders()) == nil)

    Sample.echo(wire.server, try #require(open))
    wire.pump()
    #expect(wire.clientCloses == [1: .noError])
    #expect(wire.server.isFinished)
    #expect(wire.client.isFinished)
  }

  @Test func streamsAboveTheLastIdAreRefused() throws {
    let wire = try InMemoryWire()
    _ = wire.request(body: [1])
    wire.pump()
    wire.server.shutDown()
    _ = wire.request(body: [2])
    // The server's GOAWAY and the second request pass each other.
    let late = wire.output(of: wire.client)
    wire.feed(wire.client, wire.output(of: wire.server))
    wire.feed(wire.server, late)
    #expect(wire.clientCloses == [3: .refusedStream])
  }

  @Test func aResetReachesThePeerWithItsCode() throws {
    let wire = try InMemoryWire()
    let stream = try #require(wire.request())
    wire.pump()
    wire.client.reset(stream, code: .cancel)
    wire.pump()
    #expect(wire.serverCloses == [1: .cancel])
    #expect(wire.clientCloses == [1: .cancel])
    #expect(wire.server.counters.resetsReceived == 1)
  }

  @Test func aReplyBeforeTheEndOfTheRequestIsFollowedByANoErrorReset() throws {
    let wire = try InMemoryWire()
    wire.onServer = { session, stream in
      guard !stream.isAnnounced else { return }
      stream.outbound.writeInteger(UInt8(9))
      session.submitResponse(stream, headers: Sample.response)
      session.finish(stream, trailers: Sample.trailers)
    }
    var sawTrailers = false
    wire.onClient = { _, stream in sawTrailers = sawTrailers || stream.trailersReceived }
    _ = wire.request()
    wire.pump()
    #expect(sawTrailers, "the reset must not overtake the trailers")
    #expect(wire.clientCloses == [1: .noError])
    #expect(wire.server.counters.resetsForPeerErrors == 0)
  }

  @Test func losingTheConnectionClosesEveryStream() throws {
    let wire = try InMemoryWire()
    for _ in 0..<3 { _ = wire.request() }
    wire.pump()
    wire.server.connectionLost()
    wire.drain()
    #expect(wire.serverCloses.count == 3)
    #expect(wire.server.failure == .connectionLost)
    #expect(wire.server.isFinished)
  }

  @Test func aHeaderBombIsCutShortAndLeftToTheOwner() throws {
    var limits = HTTP2Configuration()
    limits.maxHeaderFields = 20
    let wire = try InMemoryWire(server: limits)
    var largest = 0
    var wasFlagged = false
    wire.onServer = { _, stream in
      largest = max(largest, stream.headers.count)
      wasFlagged = wasFlagged || stream.headersTooLarge
    }
    let block = InMemoryWire.requestHeaders()
    for _ in 0..<400 { block.append("x-bomb", "1") }
    _ = wire.client.submitRequest(block)
    wire.pump()
    #expect(largest <= 20)
    #expect(wasFlagged)
    #expect(wire.clientCloses == [:])
    #expect(wire.server.counters.resetsForPeerErrors == 0)
    #expect(wire.server.failure == nil, "other streams continue")
  }

  @Test func aHeaderListOverItsBytesIsFlagged() throws {
    let wire = try InMemoryWire()
    var wasFlagged = false
    wire.onServer = { _, stream in wasFlagged = wasFlagged || stream.headersTooLarge }
    let block = InMemoryWire.requestHeaders()
    block.append("x-long", String(repeating: "v", count: 17_000))
    _ = wire.client.submitRequest(block)
    wire.pump()
    #expect(wasFlagged)
  }

  /// Just below and just above the bound, which is far below the library's own.
  @Test(
    arguments: [
      ("PING", [0, 0, 8, 6, 0, 0, 0, 0, 0, 7, 7, 7, 7, 7, 7, 7, 7]),
      ("SETTINGS", [0, 0, 0, 4, 0, 0, 0, 0, 0]),
    ] as [(String, [UInt8])], [90, 110])
  func aPingFloodWithUnreadRepliesEndsTheSession(_ frame: (String, [UInt8]), count: Int) throws {
    let wire = try InMemoryWire()
    wire.pump()
    let flood = Array(repeating: frame.1, count: count).flatMap { $0 }
    flood.withUnsafeBytes { wire.server.receive($0) }
    #expect((wire.server.failure != nil) == (count > 100))
    #expect(wire.server.isFinished == (count > 100))
  }

  @Test func aDeadSessionIsNotFedAgain() throws {
    let wire = try InMemoryWire()
    wire.feed(wire.server, Array("GET / HTTP/1.1\r\n\r\nmore and more".utf8))
    #expect(wire.server.failure != nil)
    let sample = try InMemoryWire()
    _ = sample.request(body: [1])
    wire.feed(wire.server, sample.output(of: sample.client))
    #expect(wire.server.counters.streamsOpened == 0)
    #expect(wire.output(of: wire.server).isEmpty)
  }

  @Test func theConcurrencyLimitIsAnnounced() throws {
    var limits = HTTP2Configuration()
    limits.maxConcurrentStreams = 5
    let wire = try InMemoryWire(server: limits)
    wire.pump()
    #expect(wire.client.remoteMaxConcurrentStreams == 5)
  }
}

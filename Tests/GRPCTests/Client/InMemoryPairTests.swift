// Client and server together: whole calls, streams, deadlines, drains.

import NIOCore
import Testing

@testable import GRPC

@Suite struct InMemoryPairTests {
  @Test func aLinkLikeStreamCarriesThousandsOfMessagesWithoutGrowing() throws {
    let pair = try InMemoryPair()
    let handler = RecordingHandler()
    let call = pair.start("/t/Stream", handler)
    for round in 0..<100 {
      for number in 0..<50 {
        call.send { $0.writeRepeatingByte(UInt8(number), count: (round * 7 + number) % 200) }
      }
      pair.exchange()
    }
    #expect(handler.messages.count == 5000)
    #expect(handler.messages[4999].count == (99 * 7 + 49) % 200)
    call.halfClose()
    pair.exchange()
    #expect(handler.status == .ok)
  }

  @Test func messagesOf64MiBTravelBothWaysAndLeaveNoMemoryBehind() throws {
    let largest = 64 << 20
    var client = ClientConfiguration()
    client.maxMessageBytes = largest
    var configuration = ServerConfiguration()
    configuration.maxMessageBytes = largest
    let pair = try InMemoryPair(client: client, server: configuration)
    let message = patterned(largest)
    for path in ["/t/Echo", "/t/Stream"] {
      let handler = RecordingHandler()
      let call = pair.start(path, handler)
      call.send { $0.writeBytes(message) }
      if path == "/t/Echo" { call.halfClose() }
      pair.exchange()
      #expect(handler.messages.count == 1 && isSame(handler.messages[0], message))
      guard path == "/t/Stream" else { continue }
      // The stream continues, with a buffer for what comes next and no more.
      call.send { $0.writeString("next") }
      pair.exchange()
      #expect(handler.messages.last == Array("next".utf8))
      let stream = try #require(call.stream)
      #expect(stream.inbound.capacity <= 1 << 20)
      #expect(stream.outbound.capacity <= 1 << 20)
      let served = try #require(pair.handler.session.liveStreams.first)
      #expect(served.inbound.capacity <= 1 << 20)
      #expect(served.outbound.capacity <= 1 << 20)
    }
  }

  @Test func theServersDeadlineIsTheClients() throws {
    let pair = try InMemoryPair()
    let handler = RecordingHandler()
    let call = pair.start("/t/Never", handler, timeout: .seconds(3))
    call.send { _ in }
    call.halfClose()
    pair.exchange()
    pair.loop.advanceTime(by: .milliseconds(2999))
    pair.exchange()
    #expect(handler.status == nil && pair.log.deadlines == 0)
    pair.loop.advanceTime(by: .milliseconds(1))
    pair.exchange()
    #expect(handler.status?.code == .deadlineExceeded)
    #expect(pair.log.deadlines + pair.log.cancelled == 1)
  }

  @Test func aCancelReachesTheService() throws {
    let pair = try InMemoryPair()
    let handler = RecordingHandler()
    let call = pair.start("/t/Stream", handler)
    pair.exchange()
    call.cancel()
    pair.exchange()
    #expect(pair.log.cancelled == 1)
    #expect(pair.connection.openCalls == 0)
  }

  @Test func aClientThatDoesNotReadHoldsTheServicesStreamBack() throws {
    var client = ClientConfiguration()
    client.streamWindowBytes = 10_000
    var configuration = ServerConfiguration()
    configuration.streamHighWaterBytes = 20_000
    configuration.streamLowWaterBytes = 5_000
    let pair = try InMemoryPair(client: client, server: configuration)
    let handler = RecordingHandler()
    let call = pair.start("/t/Count", handler)
    call.send { $0.writeRepeatingByte(0, count: 500) }
    call.pauseReading()
    pair.exchange()
    #expect(pair.log.sent >= 20 && pair.log.sent <= 40)
    #expect(handler.messages.isEmpty)
    call.resumeReading()
    pair.exchange()
    #expect(handler.messages.count == 500)
    #expect(handler.status == .ok)
  }

  @Test func aMessageOverTheServersLimitIsRefused() throws {
    var configuration = ServerConfiguration()
    configuration.maxMessageBytes = 1000
    let pair = try InMemoryPair(server: configuration)
    let handler = RecordingHandler()
    let call = pair.start("/t/Echo", handler)
    call.send { $0.writeRepeatingByte(0, count: 1001) }
    call.halfClose()
    pair.exchange()
    #expect(handler.status?.code == .resourceExhausted)
    #expect(pair.log.calls == 0)
  }

  @Test func aClientThatPingsTooOftenIsSentAway() throws {
    let pair = try InMemoryPair(client: .link(silenceNanosMax: 2_000_000_000))
    let handler = RecordingHandler()
    _ = pair.start("/t/Stream", handler)
    pair.exchange()
    for _ in 0..<20 where !pair.connection.isClosed {
      pair.loop.advanceTime(by: .milliseconds(500))
      pair.exchange()
    }
    #expect(handler.status?.code == .unavailable)
    let reason = pair.delegate.lossReasons.first?.description ?? ""
    #expect(reason.contains("too_many_pings"), "\(reason)")
  }

  @Test func aDrainingServerLetsTheStreamFinishAndThenCloses() throws {
    let pair = try InMemoryPair()
    let handler = RecordingHandler()
    let call = pair.start("/t/Stream", handler)
    pair.exchange()
    _ = pair.server.drain()
    pair.exchange()
    #expect(pair.connection.isGoingAway)
    call.send { $0.writeString("still here") }
    pair.exchange()
    #expect(handler.messages == [Array("still here".utf8)])
    call.halfClose()
    pair.exchange()
    #expect(handler.status == .ok)
    #expect(pair.connection.isClosed)
    #expect(pair.delegate.goingAwayCount == 1)
  }
}

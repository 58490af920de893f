// The life of a client connection against a peer in memory: stream limits, back-pressure, GOAWAY
// and loss.

import HTTP2
import NIOCore
import NIOEmbedded
import Testing

@testable import GRPC

@Suite struct ClientConnectionLifeTests {
  private func reply(_ peer: InMemoryPeer, _ stream: HTTP2Stream) {
    peer.respond(stream)
    peer.finish(stream)
    peer.exchange()
  }

  // MARK: - Stream limit

  @Test func callsOverThePeersLimitWaitForAStream() throws {
    var server = HTTP2Configuration()
    server.maxConcurrentStreams = 2
    let peer = try InMemoryPeer(server: server)
    let handlers = (0..<4).map { _ in RecordingHandler() }
    for handler in handlers {
      let call = peer.start(handler)
      call.send { $0.writeString("early") }
      call.halfClose()
    }
    peer.exchange()
    #expect(peer.streams.count == 2)
    reply(peer, peer.streams[0])
    #expect(peer.streams.count == 3)
    #expect(try peer.take(peer.streams[2]) == [Array("early".utf8)])
    #expect(peer.streams[2].remoteEnded)
    reply(peer, peer.streams[1])
    #expect(peer.streams.count == 4)
  }

  @Test func moreWaitingCallsThanTheBoundAreRefused() throws {
    var server = HTTP2Configuration()
    server.maxConcurrentStreams = 1
    var configuration = ClientConfiguration()
    configuration.maxQueuedCalls = 2
    let peer = try InMemoryPeer(configuration: configuration, server: server)
    let handlers = (0..<4).map { _ in RecordingHandler() }
    for handler in handlers { _ = peer.start(handler) }
    #expect(handlers[3].endCount == 0, "a call never ends from within startCall")
    peer.exchange()
    #expect(handlers.map { $0.status?.code } == [nil, nil, nil, .resourceExhausted])
    #expect(handlers[3].processed == .no)
  }

  @Test func aWaitingCallCanBeCancelledOrPassItsDeadline() throws {
    var server = HTTP2Configuration()
    server.maxConcurrentStreams = 1
    let peer = try InMemoryPeer(server: server)
    let handlers = (0..<4).map { _ in RecordingHandler() }
    _ = peer.start(handlers[0])
    let second = peer.start(handlers[1])
    _ = peer.start(handlers[2], timeoutNanos: 1_000_000)
    _ = peer.start(handlers[3])
    second.cancel()
    peer.loop.advanceTime(by: .milliseconds(1))
    #expect(handlers[1].status?.code == .cancelled)
    #expect(handlers[2].status?.code == .deadlineExceeded)
    #expect(handlers[1].processed == .no && handlers[2].processed == .no)
    peer.exchange()
    reply(peer, peer.streams[0])
    #expect(peer.streams.count == 2)
    reply(peer, peer.streams[1])
    #expect(handlers[3].status == .ok)
  }

  // MARK: - Back-pressure

  @Test func aPeerThatDoesNotReadMakesTheCallUnwritable() throws {
    var server = HTTP2Configuration()
    server.streamWindowBytes = 1000
    var configuration = ClientConfiguration()
    configuration.outboundHighWaterBytes = 4000
    configuration.outboundLowWaterBytes = 1500
    let peer = try InMemoryPeer(configuration: configuration, server: server)
    let handler = RecordingHandler()
    let call = peer.start(handler)
    var sent = 0
    while call.isWritable, sent < 100 {
      call.send { $0.writeRepeatingByte(7, count: 495) }
      sent += 1
      peer.exchange()
    }
    #expect(sent == 10, "1000 bytes of window and 4000 of the high-water mark")
    #expect(handler.writableCount == 0)
    let stream = try #require(peer.streams.first)
    var received = try peer.take(stream).count
    peer.exchange()
    received += try peer.take(stream).count
    #expect(handler.writableCount == 0)
    while received < sent {
      peer.exchange()
      received += try peer.take(stream).count
    }
    #expect(handler.writableCount == 1)
    #expect(call.isWritable)
  }

  @Test func aPausedCallTakesNoMessagesAndGivesNoCredit() throws {
    var configuration = ClientConfiguration()
    configuration.streamWindowBytes = 1000
    let peer = try InMemoryPeer(configuration: configuration)
    let handler = RecordingHandler()
    let call = peer.start(handler)
    call.pauseReading()
    peer.exchange()
    let stream = try #require(peer.streams.first)
    peer.respond(stream)
    for _ in 0..<20 { peer.send(stream, Array(repeating: 1, count: 195)) }
    peer.finish(stream)
    peer.exchange()
    #expect(handler.messages.isEmpty)
    #expect(stream.outbound.readableBytes == 20 * 200 - 1000, "the window is spent")
    call.resumeReading()
    peer.exchange()
    #expect(handler.messages.count == 20)
    #expect(handler.status == .ok)
  }

  @Test func aCallPausedByItsHandlerStopsAtOnceAndEndsAfterTheLastMessage() throws {
    let peer = try InMemoryPeer()
    let handler = RecordingHandler()
    handler.onMessage = { $0.pauseReading() }
    let call = peer.start(handler)
    peer.exchange()
    let stream = try #require(peer.streams.first)
    peer.respond(stream)
    for value in 0..<3 { peer.send(stream, [UInt8(value)]) }
    peer.finish(stream)
    call.halfClose()
    peer.exchange()
    for count in 1...2 {
      #expect(handler.messages.count == count)
      #expect(handler.status == nil)
      call.resumeReading()
      peer.exchange()
    }
    #expect(handler.messages == [[0], [1], [2]])
    #expect(handler.status == .ok)
    #expect(peer.connection.session.liveStreamCount == 0)
  }

  /// How a connection ends under a paused call that has the reply of the peer.
  enum Ending: CaseIterable {
    case lost, closed, goneAway
  }

  @Test(arguments: Ending.allCases)
  func aPausedCallGetsItsWholeReplyWhenItsConnectionEnds(_ ending: Ending) throws {
    let peer = try InMemoryPeer()
    let handler = RecordingHandler()
    handler.onMessage = { $0.pauseReading() }
    let call = peer.start(handler)
    call.halfClose()
    peer.exchange()
    let stream = try #require(peer.streams.first)
    peer.respond(stream)
    for value in 0..<3 { peer.send(stream, [UInt8(value)]) }
    peer.finish(stream)
    peer.exchange()
    #expect(handler.messages == [[0]] && handler.status == nil)
    switch ending {
    case .lost: peer.connection.connectionLost()
    case .closed: peer.connection.close()
    case .goneAway: peer.connection.shutdownGracefully()
    }
    peer.exchange()
    #expect(handler.messages == [[0], [1], [2]])
    #expect(handler.status == .ok)
    #expect(handler.endCount == 1)
    #expect(peer.connection.isClosed)
  }

  @Test func aPausedCallWhoseReplyIsNotWholeEndsWithItsConnection() throws {
    let peer = try InMemoryPeer()
    let handler = RecordingHandler()
    handler.onMessage = { $0.pauseReading() }
    let stream = try peer.open(handler)
    peer.respond(stream)
    for value in 0..<3 { peer.send(stream, [UInt8(value)]) }
    peer.exchange()
    peer.connection.connectionLost()
    #expect(handler.messages == [[0]])
    #expect(handler.status?.code == .unavailable)
    #expect(handler.endCount == 1)
  }

  @Test func aPausedCallWhoseStreamIsOverCanStillBeCancelled() throws {
    let peer = try InMemoryPeer()
    let handler = RecordingHandler()
    let call = peer.start(handler)
    call.halfClose()
    call.pauseReading()
    peer.exchange()
    let stream = try #require(peer.streams.first)
    peer.respond(stream)
    peer.send(stream, [1])
    peer.finish(stream)
    peer.exchange()
    #expect(handler.status == nil)
    call.cancel()
    peer.exchange()
    #expect(handler.status?.code == .cancelled)
    #expect(peer.connection.session.liveStreamCount == 0)
  }

  @Test func aMessageLargerThanTheWindowGetsThrough() throws {
    var configuration = ClientConfiguration()
    configuration.streamWindowBytes = 1000
    let peer = try InMemoryPeer(configuration: configuration)
    let handler = RecordingHandler()
    let stream = try peer.open(handler)
    peer.respond(stream)
    peer.send(stream, Array(repeating: 3, count: 50_000))
    peer.exchange()
    #expect(handler.messages.map(\.count) == [50_000])
  }

  @Test func aLongLivedCallDoesNotGrowItsBuffers() throws {
    let peer = try InMemoryPeer()
    let handler = RecordingHandler()
    let call = peer.start(handler)
    peer.exchange()
    let stream = try #require(peer.streams.first)
    peer.respond(stream)
    for _ in 0..<300 {
      call.send { $0.writeRepeatingByte(1, count: 5000) }
      peer.exchange()
      for message in try peer.take(stream) {
        stream.inbound.clear()
        stream.outbound.clear()
        peer.send(stream, message)
      }
      peer.exchange()
    }
    #expect(handler.messages.count == 300)
    let ours = try #require(call.stream)
    #expect(ours.outbound.capacity <= 32 << 10)
    #expect(ours.inbound.capacity <= 32 << 10)
  }

  // MARK: - GOAWAY and loss

  @Test func afterGoAwayCallsUnderWayFinishAndNewOnesAreRefused() throws {
    let peer = try InMemoryPeer()
    let running = RecordingHandler()
    _ = peer.start(running)
    peer.exchange()
    peer.session.shutDown()
    peer.exchange()
    #expect(peer.delegate.goingAwayCount == 1)
    let late = RecordingHandler()
    _ = peer.start(late)
    peer.exchange()
    #expect(late.status?.code == .unavailable)
    #expect(late.processed == .no)
    #expect(running.status == nil)
    reply(peer, peer.streams[0])
    #expect(running.status == .ok)
    #expect(peer.connection.isClosed)
    #expect(peer.delegate.lossReasons.count == 1)
  }

  @Test func callsThatCrossedTheGoAwayWereNotProcessed() throws {
    let peer = try InMemoryPeer()
    let first = RecordingHandler()
    _ = peer.start(first)
    peer.exchange()
    let crossing = RecordingHandler()
    try peer.goAway {
      let call = peer.start(crossing)
      peer.loop.run()
      #expect(call.wasSent)
    }
    #expect(peer.streams.count == 1)
    #expect(crossing.status?.code == .unavailable)
    #expect(crossing.processed == .no)
    #expect(first.status == nil)
  }

  @Test func waitingCallsAreGivenBackAtGoAway() throws {
    var server = HTTP2Configuration()
    server.maxConcurrentStreams = 1
    let peer = try InMemoryPeer(server: server)
    let handlers = (0..<2).map { _ in RecordingHandler() }
    for handler in handlers { _ = peer.start(handler) }
    peer.exchange()
    peer.session.announceShutdown()
    peer.exchange()
    #expect(handlers[1].status?.code == .unavailable)
    #expect(handlers[1].processed == .no)
    #expect(handlers[0].status == nil)
  }

  @Test func whenTheConnectionIsLostEveryCallEndsAndOnlyThenTheOwnerIsInformed() throws {
    var server = HTTP2Configuration()
    server.maxConcurrentStreams = 1
    let peer = try InMemoryPeer(server: server)
    let sent = RecordingHandler()
    let waiting = RecordingHandler()
    _ = peer.start(sent)
    _ = peer.start(waiting)
    peer.exchange()
    sent.onEnd = { [delegate = peer.delegate] _ in #expect(delegate.lossReasons.isEmpty) }
    peer.channel.pipeline.fireChannelInactive()
    #expect(sent.status?.code == .unavailable)
    #expect(sent.processed == .maybe)
    #expect(waiting.processed == .no)
    #expect(peer.delegate.lossReasons == [.closedByPeer])
    peer.connection.close()
    #expect(peer.delegate.lossReasons.count == 1)
  }

  @Test func aGracefulShutdownWaitsForCallsUnderWay() throws {
    let peer = try InMemoryPeer()
    let handler = RecordingHandler()
    _ = peer.start(handler)
    peer.exchange()
    peer.connection.shutdownGracefully()
    peer.exchange()
    #expect(!peer.connection.isClosed)
    reply(peer, peer.streams[0])
    #expect(handler.status == .ok)
    #expect(peer.connection.isClosed)
    #expect(peer.delegate.lossReasons == [.closedLocally])
  }

  @Test func anIdleConnectionShutsDownAtOnce() throws {
    let peer = try InMemoryPeer()
    peer.connection.shutdownGracefully()
    peer.exchange()
    #expect(peer.delegate.lossReasons == [.closedLocally])
  }
}

// Peers that fall silent and peers that send nonsense, in memory and with a clock that stands
// still.

import HTTP2
import NIOCore
import NIOEmbedded
import TestSeeds
import Testing

@testable import GRPC

@Suite struct ClientConnectionPeerTests {
  // MARK: - Liveness

  @Test func aPeerThatStopsReplyingIsFoundInTwoSecondsWhileCallsWait() throws {
    let peer = try InMemoryPeer(configuration: .link(silenceNanosMax: 2_000_000_000))
    let handler = RecordingHandler()
    _ = peer.start(handler)
    peer.exchange()
    peer.loop.advanceTime(by: .milliseconds(1999))
    #expect(handler.status == nil)
    peer.loop.advanceTime(by: .milliseconds(1))
    #expect(handler.status?.code == .unavailable)
    #expect(handler.processed == .maybe)
    #expect(peer.delegate.lossReasons == [.unresponsive])
    #expect(!peer.channel.isActive)
  }

  @Test func aPeerThatRepliesToPingsKeepsItsConnection() throws {
    let peer = try InMemoryPeer(configuration: .link(silenceNanosMax: 2_000_000_000))
    let handler = RecordingHandler()
    _ = peer.start(handler)
    peer.exchange()
    for _ in 0..<20 {
      peer.loop.advanceTime(by: .milliseconds(500))
      peer.exchange()
    }
    #expect(handler.status == nil)
    let pings = peer.events.filter { $0 == .pingReceived }
    #expect(pings.count >= 6 && pings.count <= 10)
  }

  @Test func withoutCallsNoPingIsSent() throws {
    let peer = try InMemoryPeer(configuration: .link(silenceNanosMax: 2_000_000_000))
    peer.loop.advanceTime(by: .seconds(60))
    peer.exchange()
    #expect(!peer.connection.isClosed)
    #expect(!peer.events.contains(.pingReceived))
  }

  // MARK: - Hostile peers

  @Test func aPeerThatSendsNonsenseEndsTheConnectionNotTheProcess() throws {
    var random = SeededRandom.forTest("nonsense")
    for _ in 0..<100 {
      let peer = try InMemoryPeer()
      let handler = RecordingHandler()
      _ = peer.start(handler)
      peer.exchange()
      for _ in 0..<20 {
        _ = try? peer.channel.writeInbound(
          ByteBuffer(bytes: random.bytes(Int.random(in: 1..<60, using: &random))))
        peer.loop.run()
      }
      peer.connection.close()
      #expect(handler.endCount == 1)
      #expect(peer.delegate.lossReasons.count == 1)
    }
  }

  @Test func randomBytesInARealStreamEndOneCallOnly() throws {
    var random = SeededRandom.forTest("stream bytes")
    for _ in 0..<50 {
      let peer = try InMemoryPeer()
      let handlers = [RecordingHandler(), RecordingHandler()]
      for handler in handlers { _ = peer.start(handler) }
      peer.exchange()
      peer.respond(peer.streams[0])
      peer.streams[0].outbound.writeBytes(
        random.bytes(Int.random(in: 1..<200, using: &random)))
      peer.finish(peer.streams[0], [("grpc-status", "banana"), ("grpc-message", "%")])
      peer.exchange()
      #expect(handlers[0].endCount == 1)
      peer.respond(peer.streams[1])
      peer.finish(peer.streams[1])
      peer.exchange()
      #expect(handlers[1].status == .ok)
    }
  }

  @Test func responseHeadersWithoutEndAreBounded() throws {
    let peer = try InMemoryPeer()
    let handler = RecordingHandler()
    _ = peer.start(handler)
    peer.exchange()
    peer.respond(
      try #require(peer.streams.first),
      headers: (0..<150).map { ("x-\($0)", String(repeating: "y", count: 10)) })
    peer.exchange()
    #expect(handler.status?.code == .internal)
    #expect(peer.connection.openCalls == 0)
  }
}

// What a client connection does with much: large messages, slow readers, and servers that fail
// within a reply.

import HTTP2
import NIOCore
import NIOEmbedded
import Testing

@testable import GRPC

@Suite struct ClientFlowTests {
  func wideServer() -> HTTP2Configuration {
    var server = HTTP2Configuration()
    server.streamWindowBytes = 1 << 27
    server.connectionWindowBytes = 1 << 27
    return server
  }

  @Test func aLargeRequestLeavesInChunksOneATurn() throws {
    let peer = try InMemoryPeer(server: wideServer())
    let handler = RecordingHandler()
    let call = peer.start(handler)
    call.send { $0.writeRepeatingByte(1, count: 4 << 20) }
    #expect(!call.isWritable)
    peer.loop.run()
    var writes: [Int] = []
    func taken() throws -> Int {
      var sum = 0
      while let bytes = try peer.channel.readOutbound(as: ByteBuffer.self) {
        sum += bytes.readableBytes
        bytes.withUnsafeReadableBytes { peer.session.receive($0) }
      }
      return sum
    }
    writes.append(try taken())
    while peer.connection.flusher.scheduler.hasTurns {
      peer.loop.run()
      #expect(try taken() == 0, "nothing more in the same tick")
      peer.loop.advanceTime(by: LoopScheduler.turnPause)
      writes.append(try taken())
    }
    #expect(writes.allSatisfy { $0 <= ClientConnection.writeBytesMax + (17 << 10) })
    #expect(writes.reduce(0, +) > 4 << 20)
    #expect(handler.writableCount == 1)
    #expect(call.isWritable)
    #expect(call.outboundBytes == 0)
  }

  @Test func aCallThatContinuesAtEachNoticeOfSpaceStillLeavesTheTick() throws {
    let peer = try InMemoryPeer(server: wideServer())
    let handler = RecordingHandler()
    let call = peer.start(handler)
    handler.onWritable = { call in call.send { $0.writeRepeatingByte(1, count: 2 << 20) } }
    call.send { $0.writeRepeatingByte(1, count: 2 << 20) }
    for _ in 0..<50 {
      _ = peer.step()
      if handler.writableCount > 3 { break }
    }
    #expect(handler.writableCount > 3)
    call.cancel()
    peer.exchange()
  }

  @Test func aServerThatFailsWithinAMessageIsBelieved() throws {
    let peer = try InMemoryPeer()
    let handler = RecordingHandler()
    _ = peer.start(handler)
    peer.exchange()
    let stream = peer.streams[0]
    peer.respond(stream)
    stream.outbound.writeBytes([0, 0, 0, 1, 0, 5, 5])
    peer.session.bodyChanged(stream)
    peer.finish(stream, [("grpc-status", "10"), ("grpc-message", "view expired")])
    peer.exchange()
    #expect(handler.messages.isEmpty)
    #expect(handler.status == RPCStatus(.aborted, "view expired"))
    #expect(handler.processed == .yes)
  }

  @Test func butNotOneThatEndsWithHalfAMessage() throws {
    let peer = try InMemoryPeer()
    let handler = RecordingHandler()
    _ = peer.start(handler)
    peer.exchange()
    let stream = peer.streams[0]
    peer.respond(stream)
    stream.outbound.writeBytes([0, 0, 0, 1, 0, 5, 5])
    peer.session.bodyChanged(stream)
    peer.finish(stream)
    peer.exchange()
    #expect(handler.messages.isEmpty)
    #expect(handler.status?.code == .internal)
  }

  @Test func pausedCallsDoNotStopTheOthersOfTheirConnection() throws {
    var configuration = ClientConfiguration()
    configuration.streamWindowBytes = 1 << 20
    let peer = try InMemoryPeer(configuration: configuration)
    let readers = (0..<20).map { _ in RecordingHandler() }
    let calls = readers.map { peer.start($0) }
    peer.exchange()
    for (call, stream) in zip(calls, peer.streams) {
      call.pauseReading()
      peer.respond(stream)
      for _ in 0..<15 { peer.send(stream, Array(repeating: 1, count: 100_000)) }
      peer.finish(stream)
    }
    peer.exchange()
    #expect(peer.connection.session.parkedBytes > 18 << 20)
    let handler = RecordingHandler()
    _ = peer.start(handler)
    peer.exchange()
    peer.respond(peer.streams[20])
    peer.send(peer.streams[20], Array(repeating: 2, count: 500_000))
    peer.finish(peer.streams[20])
    peer.exchange()
    #expect(handler.messages.first?.count == 500_000)
    #expect(handler.status == .ok)

    for call in calls { call.resumeReading() }
    peer.exchange()
    #expect(readers.allSatisfy { $0.messages.count == 15 && $0.status == .ok })
    #expect(peer.connection.session.parkedBytes == 0)
  }
}

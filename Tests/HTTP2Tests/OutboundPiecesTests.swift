// Bodies of which a part is sent from where it lies: order, windows, resets, and who holds it.

import LargeMemory
import NIOCore
import TestSeeds
import Testing

@testable import HTTP2

@Suite struct OutboundPiecesTests {
  private func owned(_ bytes: [UInt8]) -> OwnedBytes {
    bytes.withUnsafeBytes { OwnedBytes(copying: $0) }
  }

  private func numbered(_ count: Int, from start: Int = 0) -> [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: start &+ $0 &* 31 ^ $0 >> 8) }
  }

  /// A stream whose server gathers what it gets.
  private func gathering(
    _ configuration: HTTP2Configuration = HTTP2Configuration()
  ) throws -> (InMemoryWire, HTTP2Stream, Gathered) {
    let wire = try InMemoryWire(server: configuration)
    let gathered = Gathered()
    wire.onServer = { session, stream in
      gathered.bytes += Array(stream.inbound.readableBytesView)
      gathered.hasEnded = stream.remoteEnded
      stream.inbound.clear()
      if gathered.consumes { session.consume(stream, stream.unconsumed) }
      gathered.stream = stream
    }
    return (wire, try #require(wire.request()), gathered)
  }

  private final class Gathered {
    var bytes: [UInt8] = []
    var hasEnded = false
    var consumes = true
    var stream: HTTP2Stream?
  }

  @Test func whatIsHandedOverKeepsItsPlaceAmongWhatIsAppended() throws {
    let (wire, stream, gathered) = try gathering()
    var expected: [UInt8] = []
    for round in 0..<6 {
      let (small, large) = (numbered(round * 7, from: round), numbered(40_000 * round, from: 5))
      stream.outbound.writeBytes(small)
      stream.appendOutbound(owned(large))
      expected += small + large
      wire.client.bodyChanged(stream)
      #expect(wire.client.outboundBytes == stream.outboundBytes)
      // Some of it leaves before the next comes.
      if round == 3 { wire.pump() }
    }
    wire.client.finish(stream)
    #expect(wire.client.outboundBytes == stream.outboundBytes)
    wire.pump()
    #expect(gathered.bytes == expected)
    #expect(gathered.hasEnded)
    #expect(wire.client.outboundBytes == 0)
  }

  @Test func aPieceContinuesWhereAShutWindowStoppedIt() throws {
    var small = HTTP2Configuration()
    small.streamWindowBytes = 70_000
    small.connectionWindowBytes = 100_000
    let (wire, stream, gathered) = try gathering(small)
    gathered.consumes = false
    let expected = [1] + numbered(200_000) + [2]
    stream.outbound.writeBytes([1])
    stream.appendOutbound(owned(numbered(200_000)))
    stream.outbound.writeBytes([2])
    wire.client.bodyChanged(stream)
    wire.client.finish(stream)
    wire.pump()
    #expect(gathered.bytes.count == 70_000)
    #expect(stream.outboundBytes == expected.count - 70_000)
    #expect(wire.client.outboundBytes == expected.count - 70_000)
    while !gathered.hasEnded {
      let held = try #require(gathered.stream)
      let before = gathered.bytes.count
      wire.server.consume(held, 60_000)
      wire.pump()
      try #require(gathered.bytes.count > before, "nothing came")
    }
    #expect(gathered.bytes == expected)
    #expect(wire.client.outboundBytes == 0)
  }

  @Test func aMemoryIsReleasedWithItsLastByteOrWithItsStream() throws {
    var small = HTTP2Configuration()
    small.streamWindowBytes = 70_000
    let (wire, stream, gathered) = try gathering(small)
    gathered.consumes = false
    weak var sent: LargeBlock?
    weak var unsent: LargeBlock?
    do {
      let (first, second) = (owned(numbered(50_000)), owned(numbered(50_000)))
      (sent, unsent) = (first.block, second.block)
      stream.appendOutbound(first)
      stream.appendOutbound(second)
    }
    wire.client.bodyChanged(stream)
    #expect(sent != nil && unsent != nil)
    wire.pump()
    #expect(sent == nil && unsent != nil)
    wire.client.reset(stream, code: .cancel)
    wire.pump()
    #expect(unsent == nil)
    #expect(wire.client.outboundBytes == 0)
  }

  @Test func aStreamThatIsUsedAgainHasNothingOfTheOneBefore() throws {
    let (wire, stream, gathered) = try gathering()
    stream.appendOutbound(owned(numbered(100_000)))
    wire.client.reset(stream, code: .cancel)
    wire.pump()
    gathered.bytes = []
    let next = try #require(wire.request("/s/m", body: [1, 2]))
    #expect(next === stream, "the object is not the pooled one")
    wire.pump()
    #expect(gathered.bytes == [1, 2])
  }

  @Test func theMarkCountsAllThatWaits() throws {
    let (wire, stream, _) = try gathering()
    var touchedAt: [Int] = []
    wire.onClient = { _, stream in touchedAt.append(stream.outboundBytes) }
    stream.appendOutbound(owned(numbered(100_000)))
    stream.outbound.writeBytes(numbered(10))
    stream.outboundMark = 5_000
    wire.client.bodyChanged(stream)
    wire.pump()
    #expect(stream.outboundMark == -1)
    #expect(try #require(touchedAt.first) <= 5_000)
  }

  @Test func trailersComeAfterTheLastPiece() throws {
    let wire = try InMemoryWire()
    wire.onServer = { session, stream in
      guard stream.remoteEnded, !stream.localEnded, !stream.isClosed else { return }
      session.submitResponse(stream, headers: Sample.response)
      stream.appendOutbound(owned(numbered(60_000)))
      session.bodyChanged(stream)
      session.finish(stream, trailers: Sample.trailers)
    }
    var body: [UInt8] = []
    var isWhole = false
    wire.onClient = { session, stream in
      body += Array(stream.inbound.readableBytesView)
      stream.inbound.clear()
      session.consume(stream, stream.unconsumed)
      if stream.trailersReceived { isWhole = body.count == 60_000 }
    }
    _ = wire.request(body: [1])
    wire.pump()
    #expect(isWhole && body == numbered(60_000))
  }

  @Test func randomPiecesArriveInTheirOrder() throws {
    var random = SeededRandom(seed: TestSeed.value)
    for _ in 0..<20 {
      var configuration = HTTP2Configuration()
      configuration.streamWindowBytes = Int32.random(in: 20_000...200_000, using: &random)
      let (wire, stream, gathered) = try gathering(configuration)
      var expected: [UInt8] = []
      for round in 0..<Int.random(in: 1...30, using: &random) {
        let bytes = numbered(Int.random(in: 0...60_000, using: &random), from: round)
        if Bool.random(using: &random) {
          stream.appendOutbound(owned(bytes))
        } else {
          stream.outbound.writeBytes(bytes)
        }
        expected += bytes
        wire.client.bodyChanged(stream)
        if Int.random(in: 0..<4, using: &random) == 0 { wire.pump() }
      }
      wire.client.finish(stream)
      wire.pump()
      #expect(gathered.bytes == expected, "RINGSTORE_TEST_SEED=\(TestSeed.value)")
      #expect(wire.client.outboundBytes == 0)
    }
  }
}

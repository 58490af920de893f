// Parked streams: the connection's window continues without them, within a bound.

import NIOCore
import Testing

@testable import HTTP2

@Suite struct ParkingTests {
  /// Windows for two streams' worth of bytes, and a bound for one stream's more.
  func configuration(parked: Int) -> HTTP2Configuration {
    var configuration = HTTP2Configuration()
    configuration.streamWindowBytes = 70_000
    configuration.connectionWindowBytes = 140_000
    configuration.maxParkedBytes = parked
    return configuration
  }

  /// Opens streams that each send more than their window; the server reads none and parks all.
  /// Returns the server's side of them.
  func fill(_ wire: InMemoryWire, streams: Int) throws -> [HTTP2Stream] {
    var held: [HTTP2Stream] = []
    wire.onServer = { session, stream in
      if !held.contains(where: { $0 === stream }) { held.append(stream) }
      session.park(stream)
    }
    for _ in 0..<streams {
      _ = try #require(wire.request(body: Array(repeating: 1, count: 100_000)))
    }
    wire.pump()
    return held
  }

  @Test func parkedStreamsLeaveTheConnectionsWindowOpen() throws {
    let wire = try InMemoryWire(server: configuration(parked: 1 << 20))
    let held = try fill(wire, streams: 8)
    #expect(held.map(\.unconsumed) == Array(repeating: 70_000, count: 8), "their own is shut")
    #expect(wire.server.parkedBytes == 8 * 70_000)

    wire.onServer = Sample.echo
    let other = try #require(wire.request(body: Array(repeating: 2, count: 50_000)))
    var echoed = 0
    wire.onClient = { session, stream in
      if stream === other { echoed = stream.inbound.readableBytes }
      session.consume(stream, stream.unconsumed)
    }
    wire.pump()
    #expect(echoed == 50_000)
  }

  @Test func beyondTheBoundTheConnectionsWindowShuts() throws {
    let wire = try InMemoryWire(server: configuration(parked: 70_000))
    let held = try fill(wire, streams: 8)
    let sum = held.reduce(0) { $0 + $1.unconsumed }
    #expect(sum == 140_000 + 70_000)
  }

  @Test func whatIsTakenOfParkedStreamsMakesRoomForOthers() throws {
    let wire = try InMemoryWire(server: configuration(parked: 70_000))
    let held = try fill(wire, streams: 8)
    var taken = 0
    // One stream is read at a time: what it frees under the bound comes in on any of them.
    for round in 0..<100 {
      let stream = held[round % 8]
      taken += stream.inbound.readableBytes
      stream.inbound.clear()
      wire.server.consume(stream, .max)
      wire.pump()
      #expect(held.reduce(0) { $0 + $1.unconsumed } <= 140_000 + 70_000)
    }
    #expect(taken == 8 * 100_000)
  }

  @Test func theAccountIsEvenWhenStreamsAreResetOrReadInParts() throws {
    let wire = try InMemoryWire(server: configuration(parked: 100_000))
    let held = try fill(wire, streams: 6)
    for (index, stream) in held.enumerated() {
      switch index % 3 {
      case 0: wire.server.reset(stream, code: .cancel)
      case 1: wire.server.consume(stream, 1_234)
      default: wire.server.consume(stream, .max)
      }
    }
    wire.onServer = { session, stream in
      stream.inbound.clear()
      session.consume(stream, .max)
    }
    wire.pump()
    for stream in held where !stream.isClosed { wire.server.consume(stream, .max) }
    wire.pump()
    #expect(wire.server.parkedBytes == 0)
    #expect(wire.server.lentBytes == 0)
    // Had credit got lost, the last of these would find the connection's window shut; had it been
    // given twice, the library would have ended the session.
    for _ in 0..<10 {
      let stream = try #require(wire.request(body: Array(repeating: 1, count: 100_000)))
      wire.pump()
      #expect(stream.outbound.readableBytes == 0)
    }
    #expect(wire.server.failure == nil && wire.client.failure == nil)
  }
}

@Suite struct OutboundMarkTests {
  @Test func theOwnerIsInformedOnceWhenItsMarkIsReached() throws {
    var configuration = HTTP2Configuration()
    configuration.streamWindowBytes = 70_000
    let wire = try InMemoryWire(server: configuration)
    var held: HTTP2Stream?
    wire.onServer = { _, stream in held = stream }
    let stream = try #require(wire.request())
    stream.outbound.writeRepeatingByte(1, count: 200_000)
    wire.client.bodyChanged(stream)
    stream.outboundMark = 100_000
    var levels: [Int] = []
    wire.onClient = { _, stream in levels.append(stream.outbound.readableBytes) }
    wire.pump()
    #expect(stream.outbound.readableBytes == 130_000)
    #expect(levels.isEmpty, "still above the mark")
    for _ in 0..<2 {
      wire.server.consume(try #require(held), .max)
      wire.pump()
    }
    #expect(stream.outbound.readableBytes == 0)
    #expect(levels.count == 1)
    #expect(stream.outboundMark < 0)
  }

  @Test func anEmptiedLargeBufferIsFreedThoughItsStreamContinues() throws {
    let wire = try InMemoryWire()
    wire.onServer = { session, stream in
      stream.inbound.clear()
      session.consume(stream, .max)
    }
    let stream = try #require(wire.request())
    stream.outbound.writeRepeatingByte(1, count: 8 << 20)
    wire.client.bodyChanged(stream)
    wire.pump()
    #expect(stream.outbound.readableBytes == 0)
    #expect(stream.outbound.capacity == 0)
    #expect(!stream.isClosed)
  }

  @Test func aShutWindowIsTheStreamsOwn() throws {
    var configuration = HTTP2Configuration()
    configuration.streamWindowBytes = 70_000
    let wire = try InMemoryWire(server: configuration)
    let stuck = try #require(wire.request(body: Array(repeating: 1, count: 100_000)))
    let idle = try #require(wire.request())
    wire.pump()
    #expect(wire.client.isWindowShut(stuck))
    #expect(!wire.client.isWindowShut(idle))
  }
}

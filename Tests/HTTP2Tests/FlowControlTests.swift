// Window credit is given for consumed bytes and for nothing else.

import NIOCore
import Testing

@testable import HTTP2

@Suite struct FlowControlTests {
  func smallWindows() -> HTTP2Configuration {
    var configuration = HTTP2Configuration()
    configuration.streamWindowBytes = 70_000
    configuration.connectionWindowBytes = 100_000
    return configuration
  }

  @Test func nothingIsCreditedUntilItIsConsumed() throws {
    let wire = try InMemoryWire(server: smallWindows())
    let stream = try #require(wire.request(body: Array(repeating: 1, count: 200_000)))
    var received: HTTP2Stream?
    wire.onServer = { _, stream in received = stream }
    wire.pump()
    let held = try #require(received)
    #expect(held.inbound.readableBytes == 70_000)
    #expect(held.unconsumed == 70_000)
    #expect(stream.outbound.readableBytes == 130_000)

    wire.server.consume(held, 60_000)
    wire.pump()
    #expect(held.inbound.readableBytes == 130_000)

    wire.server.consume(held, .max)
    wire.pump()
    #expect(held.remoteEnded)
    #expect(held.inbound.readableBytes == 200_000)
  }

  @Test func aClosedStreamGivesItsConnectionCreditBack() throws {
    let wire = try InMemoryWire(server: smallWindows())
    // Never consumed by the server; each would leak 60,000 bytes of the 100,000.
    for _ in 0..<5 {
      let stream = try #require(wire.request())
      stream.outbound.writeRepeatingByte(1, count: 60_000)
      wire.client.bodyChanged(stream)
      wire.pump()
      #expect(stream.outbound.readableBytes == 0)
      wire.client.reset(stream, code: .cancel)
      wire.pump()
    }
    #expect(wire.serverCloses.count == 5)
  }

  @Test func discardedBytesAreCreditedToTheConnection() throws {
    let wire = try InMemoryWire(server: smallWindows())
    wire.onServer = { session, stream in
      stream.discardInbound()
      session.consume(stream, stream.unconsumed)
      stream.inbound.clear()
    }
    for _ in 0..<5 {
      let stream = try #require(wire.request())
      wire.pump()
      stream.outbound.writeRepeatingByte(1, count: 60_000)
      wire.client.bodyChanged(stream)
      wire.pump()
      #expect(stream.outbound.readableBytes == 0)
    }
  }

  @Test func aStreamingBodyContinuesAfterItRanDry() throws {
    let wire = try InMemoryWire()
    var got: [UInt8] = []
    wire.onServer = { session, stream in
      got += Array(stream.inbound.readableBytesView)
      stream.inbound.clear()
      session.consume(stream, stream.unconsumed)
    }
    let stream = try #require(wire.request())
    for round in 0..<10 {
      wire.pump()
      stream.outbound.writeInteger(UInt8(round))
      wire.client.bodyChanged(stream)
    }
    wire.pump()
    #expect(got == Array(0..<10))
  }

  @Test func outboundBytesAreCountedAndForgottenWithTheStream() throws {
    var configuration = HTTP2Configuration()
    configuration.streamWindowBytes = 65_535
    let wire = try InMemoryWire(server: configuration)
    let stream = try #require(wire.request(body: Array(repeating: 1, count: 100_000)))
    #expect(wire.client.outboundBytes == 100_000)
    wire.pump()
    #expect(wire.client.outboundBytes == 100_000 - 65_535)
    wire.client.reset(stream, code: .cancel)
    wire.pump()
    #expect(wire.client.outboundBytes == 0)
  }
}

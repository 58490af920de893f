// Whole requests and replies between the two roles.

import NIOCore
import Testing

@testable import HTTP2

@Suite struct ExchangeTests {
  /// What a client saw of one reply.
  final class Reply {
    var body: [UInt8] = []
    var status: Int?
    var grpcStatus: [UInt8]?
  }

  /// Runs one call to a server that echoes, and returns what came back.
  func echo(
    _ wire: InMemoryWire, _ body: [UInt8],
    by server: @escaping (HTTP2Session, HTTP2Stream) -> Void = Sample.echo
  ) throws -> Reply {
    let reply = Reply()
    wire.onServer = server
    wire.onClient = { session, stream in
      if stream.headersReceived { reply.status = stream.headers.status }
      reply.body += Array(stream.inbound.readableBytesView)
      session.consume(stream, stream.inbound.readableBytes)
      stream.inbound.clear()
      if stream.trailersReceived {
        reply.grpcStatus = stream.trailers.first("grpc-status").map { Array($0) }
      }
    }
    _ = try #require(wire.request(body: body))
    wire.pump()
    return reply
  }

  @Test func aReplyHasBodyAndTrailers() throws {
    let wire = try InMemoryWire()
    let reply = try echo(wire, Array("hello".utf8))
    #expect(reply.status == 200)
    #expect(reply.body == Array("hello".utf8))
    #expect(reply.grpcStatus == Array("0".utf8))
    #expect(wire.clientCloses == [1: .noError])
    #expect(wire.serverCloses == [1: .noError])
  }

  /// Replies with the request's body, in one step.
  private func echoWhole(_ session: HTTP2Session, _ stream: HTTP2Stream) {
    session.consume(stream, stream.unconsumed)
    guard stream.remoteEnded, !stream.localEnded, !stream.isClosed else { return }
    stream.outbound.writeBuffer(&stream.inbound)
    session.submitResponse(stream, headers: Sample.response, trailers: Sample.trailers)
    #expect(session.outboundBytes >= stream.outboundBytes && stream.localEnded)
  }

  @Test(arguments: [0, 1, 16_384, 16_385, 200_000])
  func aReplyInOneStepIsTheSame(_ bytes: Int) throws {
    let body = (0..<bytes).map { UInt8(truncatingIfNeeded: $0) }
    let wire = try InMemoryWire()
    let reply = try echo(wire, body, by: echoWhole)
    #expect(reply.status == 200 && reply.body == body && reply.grpcStatus == Array("0".utf8))
    #expect(wire.clientCloses == [1: .noError] && wire.serverCloses == [1: .noError])
    #expect(wire.server.outboundBytes == 0)
  }

  @Test(arguments: [true, false])
  func longRepliesTakeTurns(_ isInOneStep: Bool) throws {
    let wire = try InMemoryWire()
    wire.onServer = Sample.echo
    if isInOneStep { wire.onServer = echoWhole }
    var order: [Int32] = []
    wire.onClient = { session, stream in
      if stream.inbound.readableBytes > 0 { order.append(stream.id) }
      session.consume(stream, stream.inbound.readableBytes)
      stream.inbound.clear()
    }
    // The client sees each frame by itself.
    wire.sliceBytes = 9 + 16_384
    for _ in 0..<2 { _ = wire.request(body: Array(repeating: 1, count: 60_000)) }
    wire.pump()
    let first = try #require(order.first)
    let change = try #require(order.firstIndex { $0 != first })
    #expect(order[change...].contains(first), "\(order)")
  }

  @Test func appendedBytesAreThoseOfWriteBytes() {
    var buffer = ByteBuffer()
    var wanted: [UInt8] = []
    for count in [0, 1, 0, 9, 100, 5_000] {
      let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7) }
      // Another owner of the memory keeps its bytes.
      let copy = buffer
      bytes.withUnsafeBytes { bytes in
        buffer.append(bytes)
        buffer.append(bytes, bytes)
        buffer.append(UnsafeRawBufferPointer(start: nil, count: 0), bytes)
      }
      #expect(Array(copy.readableBytesView) == wanted)
      for _ in 0..<4 { wanted += bytes }
      #expect(Array(buffer.readableBytesView) == wanted)
    }
  }

  @Test(arguments: [1, 2, 3, 7, 9, 16])
  func bytesMayBeSplitAnywhere(_ sliceBytes: Int) throws {
    let wire = try InMemoryWire()
    wire.sliceBytes = sliceBytes
    let reply = try echo(wire, Array("hello".utf8))
    #expect(reply.body == Array("hello".utf8))
    #expect(wire.serverCloses == [1: .noError])
  }

  @Test func everySingleCutOfTheRequestWorks() throws {
    let sample = try InMemoryWire()
    _ = sample.request(body: [1, 2, 3])
    let bytes = sample.output(of: sample.client)
    for cut in 1..<bytes.count {
      let wire = try InMemoryWire()
      var bodies: [[UInt8]] = []
      wire.onServer = { _, stream in
        if stream.remoteEnded { bodies.append(Array(stream.inbound.readableBytesView)) }
      }
      wire.feed(wire.server, Array(bytes[..<cut]))
      wire.feed(wire.server, Array(bytes[cut...]))
      #expect(bodies == [[1, 2, 3]], "cut at \(cut)")
    }
  }

  @Test(arguments: [0, 16_384, 65_535, 300_000, 5_000_000])
  func bodiesLargerThanEveryWindowArriveWhole(_ count: Int) throws {
    let wire = try InMemoryWire()
    let body = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    let reply = try echo(wire, body)
    #expect(reply.body == body)
    #expect(reply.grpcStatus == Array("0".utf8))
    #expect(wire.server.outboundBytes == 0)
  }

  @Test func streamObjectsAreReused() throws {
    let wire = try InMemoryWire()
    var objects: Set<ObjectIdentifier> = []
    for _ in 0..<100 {
      _ = try echo(wire, [1])
      wire.onServer = { session, stream in
        objects.insert(ObjectIdentifier(stream))
        Sample.echo(session, stream)
      }
      _ = wire.request(body: [1])
      wire.pump()
    }
    #expect(objects.count == 1)
    #expect(wire.server.liveStreamCount == 0)
    #expect(wire.client.liveStreamCount == 0)
  }

  @Test func interimResponsesAreSwallowed() throws {
    let wire = try InMemoryWire()
    // HEADERS frames by hand: a 103, then a 200 with END_STREAM; literal fields, static names.
    _ = wire.request(body: [])
    wire.pump()
    func frame(_ flags: UInt8, _ block: [UInt8]) -> [UInt8] {
      [0, 0, UInt8(block.count), 1, flags, 0, 0, 0, 1] + block
    }
    var seen: [Int?] = []
    wire.onClient = { _, stream in
      if stream.headersReceived { seen.append(stream.headers.status) }
    }
    wire.feed(wire.client, frame(4, [0x08, 3] + Array("103".utf8)))
    #expect(seen.isEmpty)
    wire.feed(wire.client, frame(5, [0x88]))
    #expect(seen == [200])
  }

  @Test func aLargeReplyDoesNotDelayASmallOne() throws {
    let wire = try InMemoryWire()
    wire.onServer = { session, stream in
      guard stream.remoteEnded, !stream.localEnded, !stream.isClosed else { return }
      let count = stream.id == 1 ? 900_000 : 10
      stream.outbound.writeRepeatingByte(7, count: count)
      session.submitResponse(stream, headers: Sample.response)
      session.bodyChanged(stream)
      session.finish(stream, trailers: Sample.trailers)
    }
    _ = wire.request("/large", body: [])
    _ = wire.request("/small", body: [])
    wire.feed(wire.server, wire.output(of: wire.client))
    var buffer = ByteBuffer()
    wire.server.writePending(into: &buffer, limit: 100_000)
    wire.drain()
    #expect(wire.serverCloses == [3: .noError], "the small one is done within the first bytes")
  }

  @Test func outputStopsNearItsLimit() throws {
    let wire = try InMemoryWire()
    wire.onServer = { session, stream in
      guard stream.remoteEnded, !stream.localEnded, !stream.isClosed else { return }
      stream.outbound.writeRepeatingByte(7, count: 900_000)
      session.submitResponse(stream, headers: Sample.response)
      session.bodyChanged(stream)
      session.finish(stream, trailers: Sample.trailers)
    }
    _ = wire.request(body: [])
    wire.feed(wire.server, wire.output(of: wire.client))
    var buffer = ByteBuffer()
    let hasMore = wire.server.writePending(into: &buffer, limit: 50_000)
    #expect(hasMore)
    #expect(buffer.readableBytes >= 50_000)
    #expect(buffer.readableBytes <= 50_000 + 16_384 + 9)
    #expect(wire.server.outboundBytes > 0)
  }
}

// Clients that ask for much and take little: what they cost is bounded, others are served, and what
// they asked for is there when they take it after all.

import HTTP2
import NIOCore
import Testing

@testable import GRPC

@Suite struct SlowReaderTests {
  static let hello = ServerHarness.frame([1])
  static let replyBytes = 20_000

  func bounded() -> ServerConfiguration {
    var configuration = ServerConfiguration()
    configuration.maxOutboundBytes = 1 << 20
    configuration.maxMessageBytes = 1 << 19
    configuration.connectionHighWaterBytes = 256 << 10
    return configuration
  }

  /// Opens a thousand calls whose replies come to 20 MB.
  func openThousand(_ harness: ServerHarness) throws -> [HTTP2Stream] {
    harness.keepsBodies = false
    harness.service.onUnary = { call, message in
      call.respond { $0.writeRepeatingByte(1, count: message.count > 1 ? Self.replyBytes : 1) }
    }
    return try (0..<1_000).map { _ in
      let stream = try #require(harness.open(ScriptedService.unaryPath))
      harness.send(stream, ServerHarness.frame([1, 2]), isLast: true)
      return stream
    }
  }

  func wholeReplies(_ harness: ServerHarness) -> Int {
    harness.seen.values.filter { $0.status == "0" && $0.bodyBytes == Self.replyBytes + 5 }.count
  }

  @Test func aThousandCallsWithoutWindowAreHeldAndThenAllGetTheirReplies() throws {
    var client = HTTP2Configuration()
    client.streamWindowBytes = 4_000
    let harness = try ServerHarness(bounded(), client: client)
    harness.clientConsumes = false
    let streams = try openThousand(harness)
    try harness.pump()
    let outbound = harness.handler.session.outboundBytes
    #expect(outbound > 1 << 20 && outbound < (1 << 20) + 2 * Self.replyBytes)
    #expect(harness.handler.heldCalls.count == 1_000 - harness.service.events.count)
    #expect(harness.service.events.count < 80)

    let other = try ServerHarness(sharing: harness)
    #expect(try other.call(body: Self.hello).status == "0")

    harness.clientConsumes = true
    for stream in streams { harness.client.consume(stream, .max) }
    try harness.pump()
    #expect(wholeReplies(harness) == 1_000)
    #expect(harness.handler.heldCalls.isEmpty)
    #expect(harness.handler.session.outboundBytes == 0)
  }

  @Test func aThousandCallsOnAFullSocketAreNotEvenReadAndThenAllGetTheirReplies() throws {
    let harness = try ServerHarness(bounded())
    try harness.pump()
    harness.channel.isWritable = false
    harness.channel.pipeline.fireChannelWritabilityChanged()
    _ = try openThousand(harness)
    // As NIO would: a read for each read that is allowed.
    var unread: [ByteBuffer] = []
    var bytes = ByteBuffer()
    while harness.client.writePending(into: &bytes, limit: 4_096) || bytes.readableBytes > 0 {
      unread.append(bytes)
      bytes = ByteBuffer()
    }
    var next = 0
    func readAll() throws {
      while next < unread.count {
        let before = harness.reads.reads
        harness.channel.read()
        guard harness.reads.reads > before else { return }
        try harness.channel.writeInbound(unread[next])
        next += 1
      }
    }
    try readAll()
    #expect(next < unread.count)
    let outbound = harness.handler.session.outboundBytes
    #expect(outbound < (1 << 20) + 2 * Self.replyBytes)

    let other = try ServerHarness(sharing: harness)
    #expect(try other.call(body: Self.hello).status == "0")

    harness.channel.isWritable = true
    harness.channel.pipeline.fireChannelWritabilityChanged()
    while next < unread.count {
      try harness.pump()
      try readAll()
    }
    try harness.pump()
    #expect(wholeReplies(harness) == 1_000)
  }

  @Test func bodiesOfHeldCallsLeaveTheConnectionsWindowToOthers() throws {
    var configuration = bounded()
    configuration.connectionWindowBytes = 200_000
    configuration.streamWindowBytes = 70_000
    var client = HTTP2Configuration()
    client.streamWindowBytes = 0
    let harness = try ServerHarness(configuration, client: client)
    harness.clientConsumes = false
    harness.service.onUnary = { call, _ in call.respond { $0.writeRepeatingByte(1, count: 2 << 20) }
    }
    let pipeline = try #require(harness.open(ScriptedService.streamPath))
    try harness.call(body: Self.hello)
    // The bound is passed; these are held, with 70,000 bytes of body each.
    for _ in 0..<10 {
      let stream = try #require(harness.open(ScriptedService.unaryPath))
      harness.send(stream, ServerHarness.frame(Array(repeating: 1, count: 100_000)), isLast: true)
    }
    try harness.pump()
    #expect(harness.handler.heldCalls.count == 10)
    harness.send(pipeline, ServerHarness.frame(Array(repeating: 1, count: 60_000)))
    try harness.pump()
    #expect(harness.service.events.last == "message 60000")
  }

  @Test func twentyPausedPipelinesDoNotStopAUnaryCall() throws {
    let harness = try ServerHarness()
    var paused: [ServerCall] = []
    harness.service.onMessage = { call, _ in
      paused.append(call)
      call.pauseReading()
    }
    let message = ServerHarness.frame(Array(repeating: 1, count: 100_000))
    let messages = Array(repeating: message, count: 15).flatMap { $0 }
    for _ in 0..<20 {
      harness.send(try #require(harness.open(ScriptedService.streamPath)), messages, isLast: true)
    }
    try harness.pump()
    #expect(paused.count == 20)
    // More than the connection's window of 16 MiB is held.
    #expect(harness.handler.session.parkedBytes > 18 << 20)
    let large = ServerHarness.frame(Array(repeating: 1, count: 3 << 20))
    #expect(try harness.call(body: large).status == "0")

    harness.service.onMessage = { _, _ in }
    for call in paused { call.resumeReading() }
    try harness.pump()
    #expect(harness.service.events.filter { $0 == "message 100000" }.count == 20 * 15)
    #expect(harness.service.events.filter { $0 == "half-closed" }.count == 20)
    #expect(harness.handler.session.parkedBytes == 0)
  }

  @Test func aSlowClientWithManyRepliesIsNotMistakenForADeadOne() throws {
    var client = HTTP2Configuration()
    client.connectionWindowBytes = 65_535
    let harness = try ServerHarness(client: client)
    harness.keepsBodies = false
    harness.clientConsumes = false
    harness.service.onUnary = { call, _ in call.respond { $0.writeRepeatingByte(1, count: 40_000) }
    }
    let streams = try (0..<50).map { _ -> HTTP2Stream in
      let stream = try #require(harness.open(ScriptedService.unaryPath))
      harness.send(stream, Self.hello, isLast: true)
      return stream
    }
    try harness.pump()
    // It takes 32 KiB each ten seconds: a stream gets its turn every four minutes.
    var closed: Set<Int32> = []
    for _ in 0..<200 where closed.count < 50 {
      harness.eventLoop.advanceTime(by: .seconds(10))
      var rest = 33_000
      for stream in streams where !stream.isClosed && stream.id != 0 {
        let part = min(rest, stream.unconsumed)
        harness.client.consume(stream, part)
        rest -= part
      }
      try harness.pump()
      closed = Set(harness.seen.filter { $0.value.closeCode != nil }.keys)
    }
    #expect(harness.seen.values.filter { $0.status == "0" && $0.bodyBytes == 40_005 }.count == 50)
  }
}

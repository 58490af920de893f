// Streaming calls: messages both ways, half-close, back-pressure both ways.

import HTTP2
import NIOCore
import Testing

@testable import GRPC

@Suite struct StreamingTests {
  @Test func messagesAreDeliveredHoweverTheyAreCut() throws {
    let messages: [[UInt8]] = [[], [1], Array(repeating: 2, count: 300), [3, 4]]
    let bytes = messages.flatMap { ServerHarness.frame($0) }
    for step in [1, 2, 5, 7, 100, 1_000] {
      let harness = try ServerHarness()
      var got: [[UInt8]] = []
      harness.service.onMessage = { got.append($1) }
      let stream = try #require(harness.open(ScriptedService.streamPath))
      var rest = bytes[...]
      while !rest.isEmpty {
        harness.send(stream, Array(rest.prefix(step)))
        rest = rest.dropFirst(step)
        try harness.pump()
      }
      harness.client.finish(stream)
      try harness.pump()
      #expect(got == messages)
      #expect(harness.service.events.last == "half-closed")
      #expect(harness.seen[1]?.status == "0")
    }
  }

  @Test func repliesMayComeBeforeTheHalfClose() throws {
    let harness = try ServerHarness()
    harness.service.onMessage = { call, message in call.send { $0.writeBytes(message) } }
    let stream = try #require(harness.open(ScriptedService.streamPath))
    harness.send(stream, ServerHarness.frame([1]))
    try harness.pump()
    #expect(harness.seen[1]?.body == ServerHarness.frame([1]))
    harness.send(stream, ServerHarness.frame([2]), isLast: true)
    try harness.pump()
    #expect(harness.seen[1]?.body == ServerHarness.frame([1]) + ServerHarness.frame([2]))
    #expect(harness.seen[1]?.status == "0")
  }

  @Test func aStreamThatLivesLongKeepsLittleMemory() throws {
    let harness = try ServerHarness()
    var opened: ServerCall?
    harness.service.onOpened = { opened = $0 }
    let stream = try #require(harness.open(ScriptedService.streamPath))
    harness.send(stream, ServerHarness.frame([1]))
    try harness.pump()
    let call = try #require(opened)
    for _ in 0..<500 {
      call.send { $0.writeRepeatingByte(1, count: 1_000) }
      try harness.pump()
    }
    #expect(harness.seen[1]?.body.count == 500 * 1_005)
    #expect(call.stream.outbound.capacity < 16 << 10)
  }

  @Test func aCallOnBothWaterMarksContinues() throws {
    var configuration = ServerConfiguration()
    configuration.streamHighWaterBytes = 2_010
    configuration.streamLowWaterBytes = 2_010
    var client = HTTP2Configuration()
    client.streamWindowBytes = 1_005
    let harness = try ServerHarness(configuration, client: client)
    var sent = 0
    func sendMore(_ call: ServerCall) {
      while sent < 20, call.isWritable {
        sent += 1
        call.send { $0.writeRepeatingByte(1, count: 1_000) }
      }
    }
    harness.service.onMessage = { call, _ in sendMore(call) }
    harness.service.onWritable = { sendMore($0) }
    let stream = try #require(harness.open(ScriptedService.streamPath))
    harness.send(stream, ServerHarness.frame([1]))
    try harness.pump()
    #expect(harness.seen[1]?.body.count == 20 * 1_005)
  }

  @Test func endingBeforeTheClientDoesSendsTrailersAndThenNoError() throws {
    let harness = try ServerHarness()
    harness.service.onMessage = { call, _ in
      call.send { $0.writeString("only") }
      call.finish(RPCStatus(.failedPrecondition, "enough"))
    }
    let stream = try #require(harness.open(ScriptedService.streamPath))
    harness.send(stream, ServerHarness.frame([1]) + ServerHarness.frame([2]))
    try harness.pump()
    let call = try #require(harness.seen[1])
    #expect(call.trailers["grpc-status"] == "9")
    #expect(call.closeCode == .noError)
    #expect(harness.service.events == ["opened", "message 1"], "nothing after the end")
  }

  @Test func aTruncatedStreamIsInternal() throws {
    let harness = try ServerHarness()
    let stream = try #require(harness.open(ScriptedService.streamPath))
    harness.send(stream, ServerHarness.frame([1]) + [0, 0, 0], isLast: true)
    try harness.pump()
    #expect(harness.seen[1]?.status == "13")
    #expect(harness.service.events == ["opened", "message 1", "ended cancelled"])
  }

  /// The call's object becomes another call's: a service that still held it would reply to that.
  @Test(arguments: [[7, 0, 0, 0, 0], [1, 0, 0, 0, 1, 0], [0, 0xff, 0, 0, 0]] as [[UInt8]])
  func theServiceGetsTheEndOfAStreamWithAMalformedMessage(_ bytes: [UInt8]) throws {
    let harness = try ServerHarness()
    let seen = try harness.call(ScriptedService.streamPath, body: ServerHarness.frame([1]) + bytes)
    #expect(["8", "13"].contains(seen.status))
    #expect(harness.service.events == ["opened", "message 1", "ended cancelled"])
  }

  @Test func anOverlongMessageEndsTheStream() throws {
    var configuration = ServerConfiguration()
    configuration.maxMessageBytes = 100
    let harness = try ServerHarness(configuration)
    let stream = try #require(harness.open(ScriptedService.streamPath))
    harness.send(stream, ServerHarness.frame([1]) + [0, 0, 0, 0, 101])
    try harness.pump()
    #expect(harness.seen[1]?.status == "8")
  }

  @Test func aPausedCallHoldsMessagesAndWindow() throws {
    var configuration = ServerConfiguration()
    configuration.streamWindowBytes = 70_000
    let harness = try ServerHarness(configuration)
    var paused: ServerCall?
    harness.service.onMessage = { call, _ in
      paused = call
      call.pauseReading()
    }
    let stream = try #require(harness.open(ScriptedService.streamPath))
    let message = ServerHarness.frame(Array(repeating: 1, count: 995))
    harness.send(stream, Array(repeating: message, count: 200).flatMap { $0 }, isLast: true)
    try harness.pump()
    #expect(harness.service.events == ["opened", "message 995"])
    #expect(stream.outbound.readableBytes >= 200_000 - 70_000 - 1_000, "the window is shut")

    harness.service.onMessage = { _, _ in }
    try #require(paused).resumeReading()
    #expect(harness.service.events.count == 2, "not within resumeReading itself")
    try harness.pump()
    #expect(harness.service.events.count == 202)
    #expect(harness.service.events.last == "half-closed")
    #expect(harness.seen[1]?.status == "0")
  }

  @Test func pausingAndResumingInOneDeliveryChangesNothing() throws {
    let harness = try ServerHarness()
    harness.service.onMessage = { call, _ in
      call.pauseReading()
      call.resumeReading()
    }
    let stream = try #require(harness.open(ScriptedService.streamPath))
    harness.send(
      stream, Array(repeating: ServerHarness.frame([1]), count: 10).flatMap { $0 }, isLast: true)
    try harness.pump()
    #expect(harness.service.events.filter { $0 == "message 1" }.count == 10)
    #expect(harness.seen[1]?.status == "0")
  }

  @Test func aSlowReaderMakesTheCallUnwritableAndThenWritable() throws {
    let harness = try ServerHarness()
    harness.clientConsumes = false
    var sent = 0
    harness.service.onOpened = { call in
      while call.isWritable {
        call.send { $0.writeRepeatingByte(1, count: 10_000) }
        sent += 1
      }
    }
    harness.service.onWritable = { $0.finish(.ok) }
    let stream = try #require(harness.open(ScriptedService.streamPath))
    // The client's stream window of 1 MiB must not swallow it all.
    harness.client.ping(payload: 1)
    try harness.pump()
    #expect(sent >= 26)
    #expect(harness.service.events.last == "writable")
    harness.clientConsumes = true
    harness.client.consume(stream, .max)
    try harness.pump()
    #expect(harness.seen[1]?.status == "0")
  }

  @Test func aFullSocketStopsReadingUntilItDrains() throws {
    var configuration = ServerConfiguration()
    configuration.connectionHighWaterBytes = 1_000
    let harness = try ServerHarness(configuration)
    try harness.pump()
    harness.channel.isWritable = false
    harness.channel.pipeline.fireChannelWritabilityChanged()
    harness.service.onUnary = { call, _ in call.respond { $0.writeRepeatingByte(1, count: 600) } }
    func readsReached() -> Int {
      let before = harness.reads.reads
      harness.channel.read()
      return harness.reads.reads - before
    }
    try harness.call(body: ServerHarness.frame([1]))
    #expect(harness.seen[1] == nil, "nothing is written to a full socket")
    #expect(readsReached() == 1)
    try harness.call(body: ServerHarness.frame([1]))
    #expect(readsReached() == 0)
    let before = harness.reads.reads
    harness.channel.isWritable = true
    harness.channel.pipeline.fireChannelWritabilityChanged()
    try harness.pump()
    harness.channel.read()
    #expect(harness.reads.reads > before)
    #expect(harness.seen[3]?.status == "0")
  }

  @Test func theServiceCanPauseTheWholeConnection() throws {
    let harness = try ServerHarness()
    var opened: ServerCall?
    harness.service.onOpened = { opened = $0 }
    _ = harness.open(ScriptedService.streamPath)
    try harness.pump()
    let call = try #require(opened)
    call.pauseConnection()
    let before = harness.reads.reads
    harness.channel.read()
    #expect(harness.reads.reads == before)
    call.resumeConnection()
    #expect(harness.reads.reads == before + 1)
    // One resumption too many counts for nothing.
    call.resumeConnection()
    call.pauseConnection()
    harness.channel.read()
    #expect(harness.reads.reads == before + 1)
  }

  @Test func aCallThatIsOverTakesItsPausesBack() throws {
    let harness = try ServerHarness()
    var opened: ServerCall?
    harness.service.onOpened = { opened = $0 }
    _ = harness.open(ScriptedService.streamPath)
    try harness.pump()
    let call = try #require(opened)
    for _ in 0..<2 { call.pauseConnection() }
    call.finish(.ok)
    try harness.pump()
    let before = harness.reads.reads
    harness.channel.read()
    #expect(harness.reads.reads == before + 1)
  }

  @Test func callsWaitWhileTooManyRepliesAreNotRead() throws {
    var configuration = ServerConfiguration()
    configuration.maxOutboundBytes = 10_000
    configuration.maxMessageBytes = 5_000
    var windows = HTTP2Configuration()
    windows.streamWindowBytes = 1_000
    let harness = try ServerHarness(configuration, client: windows)
    harness.clientConsumes = false
    harness.service.onUnary = { call, _ in call.respond { $0.writeRepeatingByte(1, count: 8_000) } }
    var streams: [HTTP2Stream] = []
    for _ in 0..<6 {
      let stream = try #require(harness.open(ScriptedService.unaryPath))
      harness.send(stream, ServerHarness.frame([1]), isLast: true)
      streams.append(stream)
      try harness.pump()
    }
    #expect(harness.service.events.count == 2, "the others are held")
    harness.client.reset(streams[5], code: .cancel)
    harness.clientConsumes = true
    for stream in streams { harness.client.consume(stream, .max) }
    try harness.pump()
    #expect(harness.service.events.count == 5, "five with replies, and one gone while it waited")
    #expect(harness.seen.values.filter { $0.status == "0" }.count == 5)
  }
}

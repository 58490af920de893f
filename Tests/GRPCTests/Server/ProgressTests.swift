// Clients that send or take too little: what they keep alive ends, and others don't notice.

import HTTP2
import NIOCore
import Testing

@testable import GRPC

@Suite struct ProgressTests {
  static let hello = ServerHarness.frame([1])

  /// Lets so many seconds pass, one at a time.
  func pass(_ seconds: Int, _ harness: ServerHarness, each body: () -> Void = {}) throws {
    for _ in 0..<seconds {
      harness.eventLoop.advanceTime(by: .seconds(1))
      body()
      try harness.pump()
    }
  }

  func closed(_ harness: ServerHarness) -> Int {
    harness.seen.values.filter { $0.closeCode != nil }.count
  }

  // MARK: - Replies

  @Test func aByteOfWindowASecondKeepsNothingAlive() throws {
    var client = HTTP2Configuration()
    client.streamWindowBytes = 1
    let harness = try ServerHarness(client: client)
    harness.clientConsumes = false
    harness.service.onUnary = { call, _ in call.respond { $0.writeRepeatingByte(1, count: 40_000) }
    }
    let streams = try (0..<50).map { _ -> HTTP2Stream in
      let stream = try #require(harness.open(ScriptedService.unaryPath))
      harness.send(stream, Self.hello, isLast: true)
      return stream
    }
    try harness.pump()
    try pass(25, harness) {
      for stream in streams where !stream.isClosed { harness.client.consume(stream, 1) }
    }
    #expect(closed(harness) == 0)
    #expect(harness.handler.session.outboundBytes > 50 * 39_900)
    try pass(20, harness) {
      for stream in streams where stream.id != 0 && !stream.isClosed {
        harness.client.consume(stream, 1)
      }
    }
    #expect(closed(harness) == 50)
    #expect(harness.handler.session.outboundBytes == 0)
    #expect(harness.channel.isActive)
  }

  @Test func allStreamsThatAreStuckEndAtOnce() throws {
    var configuration = ServerConfiguration()
    configuration.maxOutboundBytes = 1 << 20
    configuration.maxMessageBytes = 1 << 19
    var client = HTTP2Configuration()
    client.streamWindowBytes = 0
    let harness = try ServerHarness(configuration, client: client)
    var refusals = 0
    harness.service.onUnary = { call, _ in
      call.beginMessage(byteCount: 300_000)
      call.awaitRoom()
    }
    harness.service.onWritable = { call in
      let piece = [UInt8](repeating: 1, count: 20_000)
      while call.isWritable, call.missingMessageBytes > 0 {
        piece.withUnsafeBytes { call.appendToMessage($0) }
      }
      if call.missingMessageBytes == 0 { call.finish(.ok) } else { call.awaitRoom() }
    }
    harness.service.onEnded = { _ in refusals += 1 }
    for _ in 0..<500 {
      let stream = try #require(harness.open(ScriptedService.unaryPath))
      harness.send(stream, Self.hello, isLast: true)
    }
    try harness.pump()
    #expect(harness.handler.session.liveStreamCount == 500)
    try pass(45, harness)
    #expect(closed(harness) == 500)
    #expect(harness.handler.session.liveStreamCount == 0)
    #expect(harness.handler.session.outboundBytes == 0)
    #expect(harness.handler.heldCalls.isEmpty)
    #expect(harness.channel.isActive)
    let other = try ServerHarness(configuration, sharing: harness)
    harness.service.onUnary = { call, _ in call.respond { $0.writeString("x") } }
    #expect(try other.call(body: Self.hello).status == "0")
  }

  // MARK: - Requests

  @Test(arguments: [0, 1, 5, 1_000])
  func aRequestThatStopsComingIsEnded(bytes: Int) throws {
    let harness = try ServerHarness()
    let half = Array(ServerHarness.frame([UInt8](repeating: 1, count: 5_000)).prefix(bytes))
    let stream = try #require(harness.open(ScriptedService.unaryPath))
    harness.send(stream, half)
    let streaming = try #require(harness.open(ScriptedService.streamPath))
    harness.send(streaming, Self.hello + half)
    try harness.pump()
    try pass(25, harness)
    #expect(closed(harness) == 0)
    try pass(20, harness)
    #expect(harness.seen[1]?.status == "8")
    #expect(harness.seen[1]?.message == "the request was not complete in time")
    // A stream between two messages may wait forever.
    #expect(harness.seen[3]?.status == (bytes == 0 ? nil : "8"))
    #expect(harness.handler.callBytes.request == 0)
    #expect(try harness.call(body: Self.hello).status == "0")
  }

  @Test func aByteASecondOfARequestKeepsNothingAlive() throws {
    let harness = try ServerHarness()
    let body = ServerHarness.frame([UInt8](repeating: 1, count: 5_000))
    let stream = try #require(harness.open(ScriptedService.unaryPath))
    var next = 0
    try pass(45, harness) {
      if !stream.isClosed, stream.id != 0 { harness.send(stream, [body[next]]) }
      next += 1
    }
    #expect(harness.seen[1]?.status == "8")
  }

  @Test func slowRequestsThatContinueAreServed() throws {
    let harness = try ServerHarness()
    let body = ServerHarness.frame([UInt8](repeating: 1, count: 40_000))
    let unary = try #require(harness.open(ScriptedService.unaryPath))
    let streaming = try #require(harness.open(ScriptedService.streamPath))
    var next = 0
    while next < body.count {
      let part = Array(body[next..<min(body.count, next + 1_000)])
      next += part.count
      harness.send(unary, part, isLast: next == body.count)
      harness.send(streaming, part)
      try pass(6, harness)
    }
    #expect(harness.seen[1]?.status == "0")
    #expect(harness.service.events.contains("message 40000"))
  }

  @Test func requestsThatTheServerHoldsBackAreNotBlamed() throws {
    let harness = try ServerHarness()
    harness.service.onOpened = { $0.pauseReading() }
    let stream = try #require(harness.open(ScriptedService.streamPath))
    harness.send(stream, Self.hello + [0, 0])
    try harness.pump()
    try pass(60, harness)
    #expect(harness.seen[1]?.closeCode == nil)
    #expect(harness.handler.callBytes.request == 8)
  }
}

// Calls are pooled by their event loop, so a call that a connection still has on a list may be
// another connection's by now. Such an entry is passed over: what the other connection has set on
// the call is not for this one to act on.

import HTTP2
import NIOCore
import Testing

@testable import GRPC

@Suite struct StaleEntryTests {
  static let hello = ServerHarness.frame([1])

  /// Two connections of one loop, the second of which has taken over a call of the first.
  struct Pair {
    let first: ServerHarness
    let second: ServerHarness

    init(_ configuration: ServerConfiguration) throws {
      var client = HTTP2Configuration()
      client.streamWindowBytes = 0
      first = try ServerHarness(configuration, client: client)
      second = try ServerHarness(configuration, client: client, sharing: first)
      try first.pump()
      try second.pump()
    }

    func calls(of harness: ServerHarness) -> [ServerCall] {
      harness.handler.session.liveStreams.compactMap { $0.context as? ServerCall }
    }

    /// Opens a call on a connection, whole or not.
    func open(
      _ harness: ServerHarness, _ body: [UInt8], path: String = ScriptedService.unaryPath,
      isLast: Bool = true
    ) throws -> HTTP2Stream {
      let stream = try #require(harness.open(path))
      harness.send(stream, body, isLast: isLast)
      try harness.pump()
      return stream
    }

    /// Has the first connection's call, whose entry stays, become one of the second's.
    func handOver(_ stream: HTTP2Stream, to open: () throws -> Void) throws {
      let call = try #require(calls(of: first).first { $0.stream.id == stream.id })
      first.client.reset(stream, code: .cancel)
      try first.pump()
      #expect(call.handler == nil)
      try open()
      #expect(call.handler === second.handler, "the pool gives what came last")
    }
  }

  /// Replies of 30 kB, and calls that wait from 64 KiB of them on.
  private func heldPair() throws -> (Pair, waiting: [HTTP2Stream], held: HTTP2Stream) {
    var configuration = ServerConfiguration()
    configuration.maxOutboundBytes = 64 << 10
    configuration.maxMessageBytes = 32 << 10
    let pair = try Pair(configuration)
    pair.first.service.onUnary = { call, _ in
      call.respond { $0.writeRepeatingByte(1, count: 30_000) }
    }
    let waiting = try (0..<3).map { _ in try pair.open(pair.first, Self.hello) }
    for _ in 0..<3 { _ = try pair.open(pair.second, Self.hello) }
    let held = try pair.open(pair.first, Self.hello)
    #expect(pair.first.handler.heldCalls.count == 1)
    return (pair, waiting, held)
  }

  @Test func aHeldCallThatIsAnothersIsNotReleased() throws {
    let (pair, waiting, held) = try heldPair()
    try pair.handOver(held) { _ = try pair.open(pair.second, Self.hello) }
    #expect(pair.first.handler.heldCalls.count == 1)
    let before = pair.first.service.events
    pair.first.client.reset(waiting[0], code: .cancel)
    try pair.first.pump()
    #expect(pair.first.handler.heldCalls.isEmpty, "the entry was looked at")
    #expect(pair.first.service.events == before)
    #expect(pair.calls(of: pair.second).filter(\.state.isHeld).count == 1)
  }

  @Test func aResumedCallThatIsAnothersIsNotDelivered() throws {
    let (pair, waiting, held) = try heldPair()
    let call = try #require(pair.calls(of: pair.first).first { $0.stream.id == held.id })
    try pair.handOver(held) { _ = try pair.open(pair.second, Self.hello) }
    // The first connection has room again: it would have the call executed.
    for stream in waiting { pair.first.client.reset(stream, code: .cancel) }
    try pair.first.pump()
    pair.first.handler.resumedCalls.append(call)
    let before = pair.first.service.events
    pair.first.handler.flushNow()
    #expect(pair.first.handler.resumedCalls.isEmpty, "the entry was looked at")
    #expect(pair.first.service.events == before)
    #expect(call.state.isHeld)
  }

  @Test func aCallThatWaitsForRoomElsewhereIsNotNotified() throws {
    var configuration = ServerConfiguration()
    configuration.maxOutboundBytes = 64 << 10
    let pair = try Pair(configuration)
    pair.first.service.onUnary = { call, _ in
      call.handler?.reserveOutbound(call, 64 << 10)
    }
    pair.first.service.onOpened = { $0.awaitRoom() }
    let full = try pair.open(pair.first, Self.hello)
    _ = try pair.open(pair.second, Self.hello)
    let waiting = try pair.open(pair.first, [], path: ScriptedService.streamPath, isLast: false)
    #expect(pair.first.handler.callsAwaitingRoom.count == 1)
    try pair.handOver(waiting) {
      _ = try pair.open(pair.second, [], path: ScriptedService.streamPath, isLast: false)
    }
    pair.first.client.reset(full, code: .cancel)
    try pair.first.pump()
    #expect(pair.first.handler.callsAwaitingRoom.isEmpty, "the entry was looked at")
    #expect(!pair.first.service.events.contains("writable"))
    #expect(pair.second.handler.callsAwaitingRoom.count == 1)
  }

  @Test func aLargeMessageThatWaitsElsewhereIsNotLetIn() throws {
    var configuration = ServerConfiguration()
    configuration.streamWindowBytes = 64 << 10
    configuration.maxLargeMessageBytes = 300 << 10
    let pair = try Pair(configuration)
    let half = Array(ServerHarness.frame([UInt8](repeating: 1, count: 200 << 10)).prefix(1_000))
    func open(_ harness: ServerHarness) throws -> HTTP2Stream {
      try pair.open(harness, half, isLast: false)
    }
    let coming = try open(pair.first)
    _ = try open(pair.second)
    let waiting = try open(pair.first)
    #expect(pair.first.handler.largeMessages.waiting.count == 1)
    try pair.handOver(waiting) { _ = try open(pair.second) }
    pair.first.client.reset(coming, code: .cancel)
    try pair.first.pump()
    #expect(pair.first.handler.largeMessages.waiting.isEmpty, "the entry was looked at")
    #expect(pair.first.handler.largeMessages.bytes == 0)
    #expect(pair.calls(of: pair.second).filter { $0.largeMessage.awaited > 0 }.count == 1)
  }
}

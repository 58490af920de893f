// The connection's own affairs: drain, keep-alive, floods, time limits.

import HTTP2
import NIOCore
import Testing

@testable import GRPC

@Suite struct ConnectionRulesTests {
  static let hello = ServerHarness.frame([1])

  func lastGoAway(_ harness: ServerHarness) -> (Int32, HTTP2ErrorCode, String)? {
    for event in harness.clientEvents.reversed() {
      if case .goAway(let id, let code, let debug) = event { return (id, code, debug) }
    }
    return nil
  }

  @Test func aDrainHasTwoStepsAndLetsCallsFinish() throws {
    let harness = try ServerHarness()
    var waiting: ServerCall?
    harness.service.onUnary = { call, _ in waiting = call }
    try harness.call(body: Self.hello)
    harness.handler.beginDrain()
    try harness.pump()
    let ids = harness.clientEvents.compactMap { event -> Int32? in
      if case .goAway(let id, _, _) = event { return id }
      return nil
    }
    #expect(ids == [.max, 1])
    #expect(harness.channel.isActive)
    try #require(waiting).respond { $0.writeString("done") }
    try harness.pump()
    #expect(harness.seen[1]?.status == "0")
    #expect(!harness.channel.isActive)
  }

  @Test func aConnectionThatComesDuringTheDrainIsDrainedToo() throws {
    let first = try ServerHarness()
    try first.pump()
    #expect(first.loop.drain().count == 1)
    let late = try ServerHarness(sharing: first)
    try late.pump()
    let isToldToGo = late.clientEvents.contains { event in
      if case .goAway = event { true } else { false }
    }
    #expect(isToldToGo)
    #expect(!late.channel.isActive)
  }

  @Test func aDrainContinuesWithoutTheClientsHelp() throws {
    let harness = try ServerHarness()
    try harness.pump()
    harness.handler.beginDrain()
    // The client doesn't reply; after the round trip's limit the connection ends.
    harness.eventLoop.run()
    #expect(harness.channel.isActive)
    harness.eventLoop.advanceTime(by: .seconds(2))
    #expect(!harness.channel.isActive)
  }

  @Test func aCallAboveTheLastIdOfADrainIsRefusedUnexecuted() throws {
    let harness = try ServerHarness()
    try harness.call(body: Self.hello)
    // The client's call is on its way while the server, whose socket is full, ends the drain.
    let stream = try #require(harness.open(ScriptedService.unaryPath))
    harness.send(stream, Self.hello, isLast: true)
    var onItsWay = ByteBuffer()
    harness.client.writePending(into: &onItsWay)
    harness.handler.beginDrain()
    harness.eventLoop.run()
    harness.handler.isWritable = false
    harness.eventLoop.advanceTime(by: .seconds(2))
    try harness.channel.writeInbound(onItsWay)
    harness.handler.isWritable = true
    harness.handler.flushNow()
    try harness.pump()
    #expect(harness.service.events == ["unary 1"], "the second call was executed")
    #expect(harness.seen[3]?.closeCode == .refusedStream)
  }

  @Test func tooManyPingsAreCut() throws {
    let harness = try ServerHarness()
    try harness.call(body: Self.hello)
    for _ in 0..<3 {
      harness.client.ping(payload: 1)
      try harness.pump()
      #expect(harness.channel.isActive)
    }
    harness.client.ping(payload: 1)
    try harness.pump()
    #expect(lastGoAway(harness)?.1 == .enhanceYourCalm)
    #expect(
      harness.clientEvents.contains(
        .goAway(lastStreamID: 1, code: .enhanceYourCalm, debug: "too_many_pings")))
    #expect(!harness.channel.isActive)
    #expect(harness.loop.connections.count(of: .tooManyPings) == 1)
  }

  @Test func pingsAlongWithRepliesAreAllowed() throws {
    let harness = try ServerHarness()
    for _ in 0..<20 {
      harness.client.ping(payload: 1)
      try harness.call(body: Self.hello)
    }
    #expect(harness.channel.isActive)
  }

  @Test func aPermittedClientMayPingEachSecond() throws {
    let harness = try ServerHarness()
    harness.service.onOpened = { $0.connection?.permitPings(everyNanos: 1_000_000_000) }
    _ = harness.open(ScriptedService.streamPath)
    for _ in 0..<20 {
      harness.eventLoop.advanceTime(by: .milliseconds(1_001))
      harness.client.ping(payload: 1)
      try harness.pump()
    }
    #expect(harness.channel.isActive)
  }

  @Test func pingsAlongWithMessagesOfAnOpenStreamAreForgiven() throws {
    let harness = try ServerHarness()
    var opened: ServerCall?
    harness.service.onOpened = { opened = $0 }
    _ = harness.open(ScriptedService.streamPath)
    try harness.pump()
    let call = try #require(opened)
    for _ in 0..<20 {
      // Only the first one has HEADERS before it.
      call.send { $0.writeString("x") }
      harness.client.ping(payload: 1)
      try harness.pump()
    }
    #expect(harness.channel.isActive)
  }

  @Test(arguments: [(hasCall: true, seconds: Int64(300)), (hasCall: false, seconds: 7_200)])
  func withoutSettingsClientsMayPingAsOftenAsGRPCsServersAllow(
    hasCall: Bool, seconds: Int64
  ) throws {
    var configuration = ServerConfiguration()
    (configuration.keepaliveNanos, configuration.idleNanosMax) = (0, 0)
    for (pause, isAllowed) in [(seconds, true), (seconds - 1, false)] {
      let harness = try ServerHarness(configuration)
      if hasCall { _ = harness.open(ScriptedService.streamPath) }
      try harness.pump()
      for _ in 0..<6 where harness.channel.isActive {
        harness.eventLoop.advanceTime(by: .seconds(pause))
        harness.client.ping(payload: 1)
        try harness.pump()
      }
      #expect(harness.channel.isActive == isAllowed, "a PING every \(pause) s")
      #expect(harness.loop.connections.count(of: .tooManyPings) == (isAllowed ? 0 : 1))
    }
  }

  @Test func rapidResetsAreCut() throws {
    var configuration = ServerConfiguration()
    configuration.maxExcessResets = 20
    let harness = try ServerHarness(configuration)
    harness.service.onUnary = { _, _ in }
    for _ in 0..<40 where harness.channel.isActive {
      guard let stream = harness.open(ScriptedService.unaryPath) else { break }
      harness.send(stream, Self.hello, isLast: true)
      try harness.pump()
      harness.client.reset(stream, code: .cancel)
      try harness.pump()
    }
    #expect(lastGoAway(harness)?.1 == .enhanceYourCalm)
    #expect(!harness.channel.isActive)
    #expect(harness.handler.tally.open == 0)
  }

  @Test func resetsInProportionToRepliesAreAllowed() throws {
    var configuration = ServerConfiguration()
    configuration.maxExcessResets = 20
    let harness = try ServerHarness(configuration)
    for _ in 0..<60 {
      try harness.call(body: Self.hello)
      let stream = try #require(harness.open(ScriptedService.streamPath))
      try harness.pump()
      harness.client.reset(stream, code: .cancel)
      try harness.pump()
    }
    #expect(harness.channel.isActive)
  }

  /// Each sends a WINDOW_UPDATE for a reply that doesn't come, and a RST_STREAM.
  @Test func cancelledWaitsAreNotTakenForAFlood() throws {
    var configuration = ServerConfiguration()
    configuration.maxControlFrames = 100
    configuration.maxExcessResets = 10
    let harness = try ServerHarness(configuration)
    harness.service.onUnary = { call, _ in call.countAsReplied() }
    for _ in 0..<300 {
      let stream = try #require(harness.open(ScriptedService.unaryPath))
      harness.send(stream, Self.hello, isLast: true)
      try harness.pump()
      try harness.channel.writeInbound(
        ByteBuffer(bytes: rawFrame(8, stream: UInt32(stream.id), [0, 0, 0, 1])))
      harness.client.reset(stream, code: .cancel)
      try harness.pump()
      guard harness.channel.isActive else { break }
    }
    #expect(harness.channel.isActive && harness.handler.tally.open == 0)
  }

  @Test func controlFramesAreBounded() throws {
    var configuration = ServerConfiguration()
    configuration.maxControlFrames = 100
    let harness = try ServerHarness(configuration)
    try harness.call(body: Self.hello)
    // WINDOW_UPDATE of one byte, which needs no reply.
    let frame: [UInt8] = [0, 0, 4, 8, 0, 0, 0, 0, 0, 0, 0, 0, 1]
    for _ in 0..<10 {
      try harness.channel.writeInbound(
        ByteBuffer(bytes: Array(repeating: frame, count: 30).flatMap { $0 }))
      try harness.pump()
    }
    #expect(!harness.channel.isActive)
  }

  @Test func aClientThatSendsNothingIsClosed() throws {
    let harness = try ServerHarness()
    harness.eventLoop.advanceTime(by: .seconds(9))
    #expect(harness.channel.isActive)
    // Connections are looked at every few seconds.
    harness.eventLoop.advanceTime(by: .nanoseconds(Int64(ServerConfiguration.sweepNanosMax)))
    harness.eventLoop.advanceTime(by: .seconds(1))
    #expect(!harness.channel.isActive)
    #expect(harness.loop.connections.count(of: .noPreface) == 1)
  }

  @Test func aHeaderBlockMustBeCompletedInTime() throws {
    let harness = try ServerHarness()
    try harness.call(body: Self.hello)
    // HEADERS without END_HEADERS, and no CONTINUATION.
    try harness.channel.writeInbound(ByteBuffer(bytes: [0, 0, 1, 1, 0, 0, 0, 0, 3, 0x83]))
    harness.eventLoop.advanceTime(by: .seconds(9))
    #expect(harness.channel.isActive)
    // It is first seen at one look, and found too old at another.
    harness.eventLoop.advanceTime(by: .nanoseconds(2 * Int64(ServerConfiguration.sweepNanosMax)))
    harness.eventLoop.advanceTime(by: .seconds(1))
    #expect(!harness.channel.isActive)
    #expect(harness.loop.connections.count(of: .slowHeaders) == 1)
  }

  @Test func aReplyThatIsNotReadEndsItsCallOnly() throws {
    var windows = HTTP2Configuration()
    windows.streamWindowBytes = 1_000
    let harness = try ServerHarness(client: windows)
    harness.clientConsumes = false
    harness.service.onUnary = { call, message in
      call.respond { $0.writeRepeatingByte(1, count: message.count > 1 ? 5_000 : 10) }
    }
    try harness.call(body: ServerHarness.frame([1, 2]))
    harness.eventLoop.advanceTime(by: .seconds(20))
    try harness.pump()
    #expect(harness.seen[1]?.closeCode == nil)
    harness.eventLoop.advanceTime(by: .seconds(30))
    try harness.pump()
    #expect(harness.seen[1]?.closeCode == .cancel)
    #expect(harness.channel.isActive)
    #expect(try harness.call(body: Self.hello).status == "0")
  }

  @Test func garbageClosesTheConnectionOnly() throws {
    let harness = try ServerHarness()
    try harness.channel.writeInbound(ByteBuffer(string: "GET / HTTP/1.1\r\nhost: x\r\n\r\n"))
    try harness.pump()
    #expect(!harness.channel.isActive)
    #expect(harness.loop.connectionCount == 0)
    #expect(harness.loop.connections.count(of: .protocolError) == 1)
  }

  /// What the library itself ends: the frame is well formed, and breaks a rule.
  @Test(
    arguments: [
      ("WINDOW_UPDATE of 0", [0, 0, 4, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
      ("DATA on stream 0", [0, 0, 1, 0, 0, 0, 0, 0, 0, 0]),
      ("PING of 7 bytes", [0, 0, 7, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7]),
      ("DATA after END_STREAM", [0, 0, 1, 0, 0, 0, 0, 0, 1, 0]),
      ("a frame above the limit", [0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1]),
    ] as [(String, [UInt8])])
  func aBrokenRuleHasAReason(_ name: String, _ frame: [UInt8]) throws {
    let harness = try ServerHarness()
    harness.service.onUnary = { _, _ in }
    try harness.call(body: Self.hello)
    try harness.channel.writeInbound(ByteBuffer(bytes: frame))
    try harness.pump()
    #expect(!harness.channel.isActive)
    for reason in ConnectionEnd.allCases {
      #expect(harness.loop.connections.count(of: reason) == (reason == .protocolError ? 1 : 0))
    }
  }

  @Test func namesOfReasonsAreUniqueAndReadable() {
    let names = ConnectionEnd.allCases.map { "\($0.name)" }
    #expect(Set(names).count == names.count)
    let letters = Set("abcdefghijklmnopqrstuvwxyz_")
    for name in names { #expect(name.allSatisfy(letters.contains)) }
  }

  @Test func aConnectionIsReadAgainWhenEveryPauseWasTakenBack() throws {
    let harness = try ServerHarness()
    for _ in 0..<2 { harness.handler.pauseReading() }
    let before = harness.reads.reads
    harness.channel.read()
    harness.handler.resumeReading()
    #expect(harness.reads.reads == before)
    harness.handler.resumeReading()
    #expect(harness.reads.reads == before + 1)
    // One resumption too many counts for nothing.
    harness.handler.resumeReading()
    harness.handler.pauseReading()
    harness.channel.read()
    #expect(harness.reads.reads == before + 1)
  }
}

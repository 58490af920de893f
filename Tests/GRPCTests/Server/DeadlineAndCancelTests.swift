// Calls that end before their replies.

import HTTP2
import NIOCore
import Testing

@testable import GRPC

@Suite struct DeadlineAndCancelTests {
  static let hello = ServerHarness.frame([1])

  @Test func aPassedDeadlineEndsTheCallAndNotifiesTheService() throws {
    let harness = try ServerHarness()
    harness.service.onUnary = { _, _ in }
    let early = try harness.call(
      ScriptedService.unaryPath, ["grpc-timeout": "100m"], body: Self.hello)
    #expect(early.status == nil)
    harness.eventLoop.advanceTime(by: .milliseconds(99))
    try harness.pump()
    #expect(harness.seen[1]?.status == nil)
    harness.eventLoop.advanceTime(by: .milliseconds(2))
    try harness.pump()
    #expect(harness.seen[1]?.status == "4")
    #expect(harness.service.events == ["unary 1", "ended deadline"])
  }

  @Test func aDeadlineIsMetBeforeTheMessageIsComplete() throws {
    let harness = try ServerHarness()
    _ = harness.open(ScriptedService.unaryPath, ["grpc-timeout": "1S"])
    try harness.pump()
    harness.eventLoop.advanceTime(by: .seconds(2))
    try harness.pump()
    #expect(harness.seen[1]?.status == "4")
    #expect(harness.service.events.isEmpty, "the service never heard of the call")
  }

  @Test func deadlinesComeInTheirOrderNotInTheCallsOrder() throws {
    let harness = try ServerHarness()
    harness.service.onUnary = { _, _ in }
    for timeout in ["3S", "1S", "2S"] {
      try harness.call(ScriptedService.unaryPath, ["grpc-timeout": timeout], body: Self.hello)
    }
    var ended: [Int32] = []
    for _ in 0..<4 {
      harness.eventLoop.advanceTime(by: .milliseconds(900))
      try harness.pump()
      for (id, call) in harness.seen where call.status == "4" && !ended.contains(id) {
        ended.append(id)
      }
    }
    #expect(ended == [3, 5, 1])
  }

  @Test func aCallWithAReplyForgetsItsDeadline() throws {
    let harness = try ServerHarness()
    let call = try harness.call(
      ScriptedService.unaryPath, ["grpc-timeout": "1S"], body: Self.hello)
    #expect(call.status == "0")
    harness.eventLoop.advanceTime(by: .seconds(5))
    try harness.pump()
    #expect(harness.service.events == ["unary 1"])
  }

  @Test(arguments: ["0n", "0S", "00000000H"], [true, false])
  func whatIsLateOnArrivalIsNotExecuted(_ timeout: String, isUnary: Bool) throws {
    let harness = try ServerHarness()
    let path = isUnary ? ScriptedService.unaryPath : ScriptedService.streamPath
    let call = try harness.call(path, ["grpc-timeout": timeout], body: Self.hello)
    #expect(call.status == "4")
    #expect(harness.service.events.isEmpty)
    #expect(harness.handler.session.liveStreamCount == 0)
  }

  @Test func aDeadlineEndsACallThatIsHeldBack() throws {
    var configuration = ServerConfiguration()
    configuration.maxOutboundBytes = 10_000
    configuration.maxMessageBytes = 1_000
    var client = HTTP2Configuration()
    client.streamWindowBytes = 0
    let harness = try ServerHarness(configuration, client: client)
    harness.service.onUnary = { call, _ in call.respond { $0.writeRepeatingByte(1, count: 20_000) }
    }
    try harness.call(body: Self.hello)
    let held = try #require(harness.open(ScriptedService.unaryPath, ["grpc-timeout": "2S"]))
    let id = held.id
    harness.send(held, Self.hello, isLast: true)
    try harness.pump()
    #expect(harness.handler.heldCalls.count == 1)
    harness.eventLoop.advanceTime(by: .milliseconds(2_001))
    try harness.pump()
    #expect(harness.seen[id]?.status == "4")
    #expect(harness.service.events == ["unary 1"])
  }

  @Test(arguments: [0, 1_000])
  func aReplyThatIsNotReadEndsAtItsDeadline(window: Int) throws {
    var client = HTTP2Configuration()
    client.streamWindowBytes = Int32(window)
    let harness = try ServerHarness(client: client)
    harness.clientConsumes = false
    harness.service.onUnary = { call, _ in call.respond { $0.writeRepeatingByte(1, count: 100_000) }
    }
    try harness.call(ScriptedService.unaryPath, ["grpc-timeout": "2S"], body: Self.hello)
    #expect(harness.handler.session.outboundBytes == 100_005 - window)
    harness.eventLoop.advanceTime(by: .milliseconds(1_999))
    try harness.pump()
    #expect(harness.seen[1]?.closeCode == nil)
    harness.eventLoop.advanceTime(by: .milliseconds(2))
    try harness.pump()
    #expect(harness.seen[1]?.closeCode == .cancel)
    #expect(harness.handler.session.outboundBytes == 0)
    #expect(harness.handler.session.liveStreamCount == 0)
  }

  @Test(arguments: [0, 1_000])
  func aStreamThatIsNotTakenEndsAtItsDeadline(window: Int) throws {
    var client = HTTP2Configuration()
    client.streamWindowBytes = Int32(window)
    let harness = try ServerHarness(client: client)
    harness.service.onOpened = { call in
      while call.isWritable { call.send { $0.writeRepeatingByte(1, count: 10_000) } }
    }
    harness.service.onWritable = harness.service.onOpened
    harness.clientConsumes = false
    let stream = try #require(harness.open(ScriptedService.streamPath, ["grpc-timeout": "2S"]))
    try harness.pump()
    for _ in 0..<19 {
      harness.eventLoop.advanceTime(by: .milliseconds(100))
      // It takes a little, again and again.
      harness.client.consume(stream, window / 2)
      try harness.pump()
      #expect(harness.seen[1]?.closeCode == nil)
    }
    #expect(harness.handler.session.outboundBytes > 200_000)
    harness.eventLoop.advanceTime(by: .milliseconds(101))
    try harness.pump()
    // The status needs no window, and nothing is in its way any more.
    #expect(harness.seen[1]?.status == "4")
    #expect(harness.seen[1]?.closeCode != nil)
    #expect(harness.service.events == ["opened", "ended deadline"])
    #expect(harness.handler.session.outboundBytes == 0)
    #expect(harness.handler.session.liveStreamCount == 0)
  }

  @Test(arguments: ["", "S", "1", "123456789S", "1x", "-1S", "1 S", "99999999999999999999H"])
  func aMalformedTimeoutIsInternal(_ text: String) throws {
    // An empty text leaves the field out, which is no error.
    let harness = try ServerHarness()
    let call = try harness.call(
      ScriptedService.unaryPath, ["grpc-timeout": text], body: Self.hello)
    #expect(call.status == (text.isEmpty ? "0" : "13"))
  }

  @Test func theLongestTimeoutIsNoOverflow() throws {
    let harness = try ServerHarness()
    let call = try harness.call(
      ScriptedService.unaryPath, ["grpc-timeout": "99999999H"], body: Self.hello)
    #expect(call.status == "0")
  }

  @Test func aResetCancelsTheCall() throws {
    let harness = try ServerHarness()
    var waiting: ServerCall?
    harness.service.onUnary = { call, _ in waiting = call }
    let stream = try #require(harness.open(ScriptedService.unaryPath))
    harness.send(stream, Self.hello, isLast: true)
    try harness.pump()
    harness.client.reset(stream, code: .cancel)
    try harness.pump()
    #expect(harness.service.events == ["unary 1", "ended cancelled"])
    waiting?.respond { $0.writeString("too late, and harmless") }
    #expect(harness.handler.tally.open == 0)
  }

  @Test func aRequestAndItsResetInOneReadReachNoService() throws {
    let harness = try ServerHarness()
    try harness.pump()
    let stream = try #require(harness.open(ScriptedService.unaryPath))
    harness.send(stream, Self.hello, isLast: true)
    var bytes = ByteBuffer()
    harness.client.writePending(into: &bytes)
    harness.client.reset(stream, code: .cancel)
    harness.client.writePending(into: &bytes)
    try harness.channel.writeInbound(bytes)
    #expect(harness.service.events.isEmpty)
    #expect(harness.handler.session.liveStreamCount == 0)
  }

  @Test func losingTheConnectionCancelsEveryCall() throws {
    let harness = try ServerHarness()
    harness.service.onUnary = { _, _ in }
    for _ in 0..<3 { try harness.call(body: Self.hello) }
    _ = harness.open(ScriptedService.streamPath)
    try harness.pump()
    harness.channel.pipeline.fireChannelInactive()
    harness.eventLoop.run()
    #expect(harness.loop.connectionCount == 1, "thousands may go at once: each waits for a turn")
    harness.eventLoop.advanceTime(by: LoopScheduler.turnPause)
    #expect(harness.service.events.filter { $0 == "ended cancelled" }.count == 4)
    #expect(harness.loop.connectionCount == 0)
  }

  @Test func theServiceMayDoAnythingWhileACallEnds() throws {
    let harness = try ServerHarness()
    var calls: [ServerCall] = []
    harness.service.onUnary = { call, _ in calls.append(call) }
    harness.service.onEnded = { ended in
      for call in calls {
        call.respond { $0.writeString("x") }
        call.resumeReading()
        call.fail(RPCStatus(.internal))
      }
      ended.finish(.ok)
      ended.resumeConnection()
    }
    for _ in 0..<3 { try harness.call(body: Self.hello) }
    harness.channel.pipeline.fireChannelInactive()
    try harness.pump()
    #expect(harness.handler.tally.open == 0)
  }
}

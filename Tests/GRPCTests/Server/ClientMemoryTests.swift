// What clients make a node hold is bounded in all: past the bound those that hold the most are
// ended.

import HTTP2
import NIOCore
import Testing

@testable import GRPC

/// A socket that takes nothing: what is written to it waits in the channel.
private final class ShutSocket: ChannelOutboundHandler, RemovableChannelHandler {
  typealias OutboundIn = ByteBuffer
  private var writes: [EventLoopPromise<Void>?] = []

  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    writes.append(promise)
  }

  func handlerRemoved(context: ChannelHandlerContext) {
    for promise in writes { promise?.fail(ChannelError.ioOnClosedChannel) }
  }
}

@Suite struct ClientMemoryTests {
  static let hello = ServerHarness.frame([1])
  static let budget = 8 << 20

  func bounded() -> ServerConfiguration {
    var configuration = ServerConfiguration()
    configuration.clientMemoryBytes = Self.budget
    configuration.maxMessageBytes = 256 << 10
    configuration.maxOutboundBytes = 1 << 20
    return configuration
  }

  /// Connections that share a loop, the first of them well-behaved.
  func crowd(_ count: Int, window: Int32 = 65_535) throws -> [ServerHarness] {
    var client = HTTP2Configuration()
    client.streamWindowBytes = window
    let first = try ServerHarness(bounded())
    let others = try (1..<count).map { _ in
      let other = try ServerHarness(client: client, sharing: first)
      other.clientConsumes = false
      return other
    }
    return [first] + others
  }

  func leave(_ crowd: [ServerHarness]) throws {
    for harness in crowd { harness.channel.pipeline.fireChannelInactive() }
    for harness in crowd { try harness.pump() }
  }

  func gotReason(_ harness: ServerHarness) -> Bool {
    harness.clientEvents.contains { event in
      if case .goAway(_, .enhanceYourCalm, "memory_budget") = event { true } else { false }
    }
  }

  @Test func repliesThatAreNotReadAreBoundedInAll() throws {
    let crowd = try crowd(20, window: 0)
    let honest = crowd[0]
    honest.service.onUnary = { call, message in
      call.respond { $0.writeRepeatingByte(1, count: message.count > 1 ? 200_000 : 1) }
    }
    for harness in crowd.dropFirst() {
      for _ in 0..<50 {
        guard let stream = harness.open(ScriptedService.unaryPath) else { break }
        harness.send(stream, ServerHarness.frame([1, 2]), isLast: true)
      }
      try harness.pump()
      #expect(honest.loop.clientMemory.bytes <= Self.budget)
      #expect(try honest.call(body: Self.hello).status == "0")
    }
    // Those that were ended have their reason still to read.
    for harness in crowd { try harness.pump() }
    let ended = crowd.dropFirst().filter { !$0.channel.isActive }
    #expect(ended.count > 5)
    #expect(ended.filter { gotReason($0) }.count == ended.count)
    #expect(!gotReason(honest) && honest.channel.isActive)
    try leave(crowd)
    #expect(honest.loop.clientMemory.bytes == 0)
  }

  /// The window is wide open, and the client doesn't read its socket.
  @Test func repliesThatOnlySocketsDoNotTakeAreBoundedInAll() throws {
    let crowd = try crowd(20, window: 1 << 24)
    let honest = crowd[0]
    honest.service.onUnary = { call, message in
      call.respond { $0.writeRepeatingByte(1, count: message.count > 1 ? 200_000 : 1) }
    }
    for harness in crowd.dropFirst() {
      try harness.pump()
      try harness.channel.pipeline.syncOperations.addHandler(ShutSocket(), position: .first)
      for _ in 0..<5 {
        guard let stream = harness.open(ScriptedService.unaryPath) else { break }
        harness.send(stream, ServerHarness.frame([1, 2]), isLast: true)
      }
      try harness.pump()
      #expect(honest.loop.clientMemory.bytes <= Self.budget)
      #expect(try honest.call(body: Self.hello).status == "0")
    }
    #expect(honest.loop.clientMemory.bytes > 1_000_000, "what waits in channels is counted")
    #expect(crowd.dropFirst().filter { !$0.channel.isActive }.count > 5)
    #expect(honest.channel.isActive)
    try leave(crowd)
    #expect(honest.loop.clientMemory.bytes == 0)
  }

  @Test func whatSocketsHaveTakenIsGivenBackAtTheNextSweep() throws {
    let harness = try ServerHarness(bounded())
    harness.service.onUnary = { call, _ in call.respond { $0.writeRepeatingByte(1, count: 60_000) }
    }
    try harness.pump()
    let socket = ShutSocket()
    try harness.channel.pipeline.syncOperations.addHandler(socket, position: .first)
    try harness.call(body: Self.hello)
    #expect(harness.loop.clientMemory.bytes > 60_000)
    try harness.channel.pipeline.syncOperations.removeHandler(socket).wait()
    harness.eventLoop.advanceTime(by: .seconds(6))
    #expect(harness.loop.clientMemory.bytes == 0)
  }

  /// Those that are gone are freed in a later turn, and hold the most until then.
  @Test(.timeLimit(.minutes(15))) func connectionsThatHaveJustGoneAreFreedAtOnceWhereMemoryIsShort()
    throws
  {
    let crowd = try crowd(8)
    let half = Array(ServerHarness.frame([UInt8](repeating: 1, count: 250_000)).dropLast())
    func hold(_ harness: ServerHarness, _ count: Int) throws {
      for _ in 0..<count {
        harness.send(try #require(harness.open(ScriptedService.unaryPath)), half)
      }
    }
    for harness in crowd[1...4] {
      try hold(harness, 7)
      try harness.pump()
    }
    #expect(crowd[0].loop.clientMemory.bytes > Self.budget * 3 / 4)
    try crowd[5].pump()
    try hold(crowd[5], 6)
    var last = ByteBuffer()
    for _ in 0..<20 {
      var part = ByteBuffer()
      crowd[5].client.writePending(into: &part)
      last.writeBuffer(&part)
    }
    for harness in crowd[1...4] { harness.channel.pipeline.fireChannelInactive() }
    // Within the same turn.
    try crowd[5].channel.writeInbound(last)
    #expect(crowd[5].handler.charge.bytes > 6 * 249_000, "it is spared")
    #expect(crowd[0].loop.clientMemory.bytes <= Self.budget)
    try leave(crowd)
    #expect(crowd[0].loop.clientMemory.bytes == 0)
  }

  @Test(arguments: [true, false])
  func requestsThatStayUnfinishedAreBoundedInAll(isUnary: Bool) throws {
    let crowd = try crowd(12)
    let honest = crowd[0]
    let path = isUnary ? ScriptedService.unaryPath : ScriptedService.streamPath
    let message = ServerHarness.frame([UInt8](repeating: 1, count: 250 << 10))
    for harness in crowd.dropFirst() {
      for _ in 0..<10 {
        guard let stream = harness.open(path) else { break }
        harness.send(stream, Array(message.dropLast()))
      }
      try harness.pump()
      #expect(honest.loop.clientMemory.bytes <= Self.budget)
      let large = try honest.call(ScriptedService.unaryPath, body: message)
      #expect(large.status == "0" && large.bodyBytes == message.count)
    }
    #expect(crowd.filter { !$0.channel.isActive }.count > 3)
    try leave(crowd)
    #expect(honest.loop.clientMemory.bytes == 0)
  }

  @Test func manySmallOnesThatStandStillGoBeforeALargeOneOnItsWay() throws {
    let crowd = try crowd(100)
    let honest = crowd[0]
    let half = Array(ServerHarness.frame([UInt8](repeating: 1, count: 100_000)).dropLast())
    func hold(_ harness: ServerHarness) throws {
      harness.send(try #require(harness.open(ScriptedService.unaryPath)), half)
      try harness.pump()
    }
    for harness in crowd[1..<80] { try hold(harness) }
    honest.eventLoop.advanceTime(by: .seconds(6))
    let large = try #require(honest.open(ScriptedService.unaryPath))
    honest.send(large, Array(ServerHarness.frame([UInt8](repeating: 1, count: 240_000)).dropLast()))
    try honest.pump()
    for harness in crowd[80...] { try hold(harness) }
    #expect(honest.channel.isActive)
    honest.send(large, [1], isLast: true)
    try honest.pump()
    #expect(honest.seen[1]?.status == "0")
    #expect(crowd.filter { !$0.channel.isActive }.count > 5)
  }

  @Test func whoHoldsMuchGetsNothingNewWhileMemoryIsShort() throws {
    let crowd = try crowd(30)
    let honest = crowd[0]
    let half = Array(ServerHarness.frame([UInt8](repeating: 1, count: 250_000)).dropLast())
    for harness in crowd[1...8] {
      for _ in 0..<3 {
        harness.send(try #require(harness.open(ScriptedService.unaryPath)), half)
      }
      try harness.pump()
    }
    for harness in crowd[9...13] {
      harness.send(try #require(harness.open(ScriptedService.unaryPath)), half)
      try harness.pump()
    }
    #expect(honest.loop.clientMemory.isTight && !honest.loop.clientMemory.isOver)
    // These hold more than a sixteenth of it all.
    for harness in crowd[1...8] {
      #expect(try harness.call(body: Self.hello).status == "8")
    }
    for harness in crowd[9...13] + [honest] {
      #expect(try harness.call(body: Self.hello).status == "0")
    }
    #expect(crowd.filter { !$0.channel.isActive }.isEmpty)
  }

  @Test func oneConnectionHasABoundOfItsOwn() throws {
    let crowd = try crowd(2, window: 0)
    crowd[0].service.onUnary = { call, _ in
      call.respond { $0.writeRepeatingByte(1, count: 200_000) }
    }
    // Its replies stop at 1 MiB, its unfinished requests don't.
    let half = Array(ServerHarness.frame([UInt8](repeating: 1, count: 250_000)).dropLast())
    for _ in 0..<20 {
      guard let stream = crowd[1].open(ScriptedService.streamPath) else { break }
      crowd[1].send(stream, half)
      try crowd[1].pump()
      #expect(crowd[0].loop.clientMemory.bytes <= Self.budget / 4)
    }
    #expect(!crowd[1].channel.isActive)
    #expect(gotReason(crowd[1]))
  }

  @Test func whatWasFreedIsGivenBackOnceForEachFall() {
    let memory = ClientMemory(bytesMax: 1 << 30, messageBytesMax: 4 << 20)
    let fall = ClientMemory.fallBytes
    var falls: [Bool] = []
    for change in [2 * fall, 1 - fall, -1, 0, -fall] {
      memory.change(by: change)
      falls.append(memory.takeFall())
    }
    #expect(falls == [false, false, true, false, true])
  }

  @Test func linksBetweenNodesDoNotCount() throws {
    let harness = try ServerHarness(bounded())
    harness.service.onOpened = { $0.connection?.becomeLink() }
    let half = Array(ServerHarness.frame([UInt8](repeating: 1, count: 250_000)).dropLast())
    for _ in 0..<50 {
      harness.send(try #require(harness.open(ScriptedService.streamPath)), half)
      try harness.pump()
    }
    #expect(harness.handler.callBytes.request == 50 * half.count)
    #expect(harness.loop.clientMemory.bytes == 0)
    #expect(harness.channel.isActive)
  }

  @Test func headerListsAndOpenStreamsCount() throws {
    let harness = try ServerHarness()
    harness.service.onUnary = { _, _ in }
    var fields: [String: String] = [:]
    for number in 0..<10 { fields["f\(number)"] = String(repeating: "v", count: 1_000) }
    for _ in 0..<10 { try harness.call(ScriptedService.unaryPath, fields, body: Self.hello) }
    #expect(harness.loop.clientMemory.bytes > 10 * (2_048 + 10_000))
    try leave([harness])
    #expect(harness.loop.clientMemory.bytes == 0)
  }
}

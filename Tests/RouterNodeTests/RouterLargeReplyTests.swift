// Replies that come in parts: announced, asked for as the caller takes them, passed on or gathered,
// and what becomes of them when something breaks.

import Commands
import NIOCore
import NodeCore
import ProtobufMessages
import RingstoreAPI
import Testing

@testable import RouterNode

@Suite struct RouterLargeReplyTests {
  /// A router whose one shard has announced a large reply to a call of caller 1.
  private func announced(
    bytes: Int, pop: Bool = false, gathers: Bool = false, isFull: Bool = false,
    limits: Limits = Limits()
  ) throws -> (router: RouterFixture, id: UInt64) {
    let router = try RouterFixture(shards: ["a"], limits: limits)
    try router.acceptAll()
    if gathers { router.driver.gathers = [1] }
    if isFull { router.driver.full = [1] }
    let id = try #require(pop ? router.pop("k", caller: 1) : router.get("k", caller: 1))
    _ = try router.sent(to: 0)
    try router.announce(id, from: 0, bytes: bytes)
    return (router, id)
  }

  private func credit(_ router: RouterFixture) throws -> [Int] {
    try router.sent(to: 0, .bulk).credits.map { Int($0.bytes) }
  }

  private func piece(_ byte: UInt8, _ count: Int = Limits().pieceBytesMax) -> [UInt8] {
    Array(repeating: byte, count: count)
  }

  @Test func aLargeReplyIsForwardedChunkByChunkAndRequestedByTheWindow() throws {
    let total = 1 << 20
    let (router, id) = try announced(bytes: total)
    #expect(try credit(router) == [StreamedReply.windowBytes])
    #expect(router.driver.begun[1] == nil, "nothing is begun before the first piece")
    var sent = 0
    var asked = StreamedReply.windowBytes
    while sent < total {
      let isLast = sent + Limits().pieceBytesMax == total
      try router.reply(id, from: 0, .bulk, piece(UInt8(sent >> 16)), more: !isLast)
      sent += Limits().pieceBytesMax
      asked += try credit(router).reduce(0, +)
      #expect(asked - sent <= StreamedReply.windowBytes)
      #expect(isLast || asked > sent, "a caller that takes everything is never kept waiting")
    }
    #expect(asked == total)
    guard case .replied(let bytes)? = router.driver.outcomes[1] else {
      Issue.record("no reply")
      return
    }
    #expect(bytes.count == total && bytes.first == 0 && bytes.last == 15)
    #expect(router.isTidy)
  }

  @Test func nothingIsRequestedWhileTheCallerReadsNoMore() throws {
    let (router, id) = try announced(bytes: 1 << 20, isFull: true)
    #expect(try credit(router).isEmpty)
    router.driver.full = []
    router.core.callerWritable(try #require(router.driver.waitingIDs[1]))
    #expect(try credit(router) == [StreamedReply.windowBytes])
    router.driver.full = [1]
    for number in 0..<4 { try router.reply(id, from: 0, .bulk, piece(UInt8(number)), more: true) }
    #expect(try credit(router).isEmpty)
    router.driver.full = []
    router.core.callerWritable(id)
    #expect(try credit(router) == [StreamedReply.windowBytes])
  }

  @Test func aReplyThatMustBeWholeIsCollectedAndRequestedAtOnce() throws {
    let total = 3 * Limits().pieceBytesMax
    let (router, id) = try announced(bytes: total, gathers: true)
    #expect(try credit(router) == [total])
    for number in 0..<3 {
      try router.reply(id, from: 0, .bulk, piece(UInt8(number)), more: number < 2)
    }
    #expect(router.driver.outcomes[1] == .replied(piece(0) + piece(1) + piece(2)))
    #expect(router.isTidy)
  }

  @Test func largeItemsOfAManyKeyCallAreGathered() throws {
    let router = try RouterFixture(shards: ["a"])
    try router.acceptAll()
    var request = Ringstore_V1_MGetRequest()
    var item = Ringstore_V1_Key()
    item.key = .init("k".utf8)
    request.keys = [item]
    _ = try router.start(.mGet, request, caller: 1)
    let id = try #require(try router.sent(to: 0).calls.first).id
    var value = Ringstore_V1_Value()
    value.found = true
    value.value = .init(piece(7, 100_000))
    let bytes: [UInt8] = try value.serializedBytes()
    try router.announce(id, from: 0, bytes: bytes.count)
    #expect(try credit(router) == [bytes.count])
    try router.reply(id, from: 0, .bulk, Array(bytes[..<65_536]), more: true)
    try router.reply(id, from: 0, .bulk, Array(bytes[65_536...]))
    guard case .replied(let reply)? = router.driver.outcomes[1] else {
      Issue.record("no reply")
      return
    }
    #expect(try Ringstore_V1_MGetResponse(serializedBytes: reply).items[0].value == value)
    #expect(router.isTidy)
  }

  @Test func whatIsGatheredAtATimeIsBoundedAndServedInTurn() throws {
    var limits = Limits()
    limits.largeReplyMemoryBytesMax = 300_000
    let router = try RouterFixture(shards: ["a"], limits: limits)
    try router.acceptAll()
    router.driver.gathers = [1, 2, 3, 4]
    // The second alone is over the bound, which is no reason to refuse it.
    let sizes = [200_000, 400_000, 100_000, 100_000]
    let ids = try (1...4).map { try #require(router.get("k", caller: $0)) }
    for (id, size) in zip(ids, sizes) { try router.announce(id, from: 0, bytes: size) }
    #expect(try credit(router) == [200_000])
    try router.reply(ids[0], from: 0, .bulk, piece(0, 200_000))
    #expect(try credit(router) == [400_000], "first come, first served")
    try router.reply(ids[1], from: 0, .bulk, piece(0, 400_000))
    #expect(try credit(router) == [100_000, 100_000])
    router.core.cancel(ids[2])
    try router.reply(ids[3], from: 0, .bulk, piece(0, 100_000))
    try router.refuse(ids[2], from: 0)
    #expect(router.isTidy)
  }

  @Test func aSlowShardTakesNothingOfTheOthersShare() throws {
    var limits = Limits()
    limits.largeReplyMemoryBytesMax = 400_000
    let router = try RouterFixture(limits: limits)
    try router.acceptAll()
    router.driver.gathers = [1, 2, 3]
    for (caller, shard) in [(1, 0), (2, 0), (3, 1)] {
      let id = try #require(router.get(router.key(of: shard), caller: caller))
      try router.announce(id, from: shard, bytes: 200_000)
    }
    #expect(try router.sent(to: 0, .bulk).credits.count == 1)
    #expect(try router.sent(to: 1, .bulk).credits.count == 1)
  }

  @Test func anAnnouncedReplyHasHadItsTurnAndItsRoom() throws {
    var limits = LinkLimits()
    limits.callsInFlightMax = 1
    let router = try RouterFixture(shards: ["a"], linkLimits: limits)
    try router.acceptAll()
    router.driver.full = [1]
    let id = try #require(router.get("k", caller: 1))
    router.set("k", bytes: RouterLaneTests.large, caller: 2)
    router.get("other", caller: 3)
    _ = try router.sent(to: 0)
    try router.announce(id, from: 0, bytes: 1 << 20)
    #expect(try router.sent(to: 0, .bulk).calls.count == 1, "the large write on its key goes")
    #expect(try router.sent(to: 0).calls.count == 1, "a slow caller doesn't delay others")
  }

  @Test func aReadThatIsCutOffFailsAsUnavailableAfterItsFirstChunks() throws {
    let (router, id) = try announced(bytes: 1 << 20)
    try router.reply(id, from: 0, .bulk, piece(1), more: true)
    router.lose(0, .bulk)
    #expect(router.driver.begun[1]?.bytes.count == Limits().pieceBytesMax)
    #expect(router.driver.outcomes[1]?.error?.reason == .shardUnavailable)
    #expect(router.isTidy)
  }

  @Test func aPopThatIsCutOffHasAnUnknownOutcomeHoweverItEnds() throws {
    for isLoss in [true, false] {
      let (router, id) = try announced(bytes: 1 << 20, pop: true)
      try router.reply(id, from: 0, .bulk, piece(1), more: true)
      if isLoss { router.lose(0) } else { try router.refuse(id, from: 0, .bulk, .viewExpired) }
      #expect(router.driver.outcomes[1]?.error?.reason == .outcomeUnknown)
      #expect(router.driver.outcomes[1]?.error?.doNotRetry == true)
    }
  }

  @Test func aViewThatExpiresEndsAReadWithThatReason() throws {
    let (router, id) = try announced(bytes: 1 << 20, isFull: true)
    try router.refuse(id, from: 0, .bulk, .viewExpired)
    #expect(router.driver.outcomes[1]?.error?.reason == .viewExpired)
    #expect(router.isTidy)
  }

  @Test func aCancelledReplyIsCancelledOnItsCallsLaneAndItsChunksDropped() throws {
    let (router, id) = try announced(bytes: 1 << 20)
    try router.reply(id, from: 0, .bulk, piece(1), more: true)
    router.core.cancel(id)
    #expect(try router.sent(to: 0).cancels == [id, id])
    #expect(router.core.requestedReplyBytes == 0)
    try router.reply(id, from: 0, .bulk, piece(2), more: true)
    #expect(router.core.callsUnderWay == 1, "the shard has yet to say its last word")
    try router.refuse(id, from: 0)
    #expect(router.driver.begun[1]?.bytes.count == Limits().pieceBytesMax)
    #expect(router.isTidy)
  }

  @Test func repliesThatAreNotWhatWasAnnouncedEndTheCall() throws {
    let (tooMuch, first) = try announced(bytes: 100_000)
    try tooMuch.reply(first, from: 0, .bulk, piece(0, 100_001), more: true)
    #expect(tooMuch.driver.outcomes[1]?.error?.code == .internal)
    #expect(try tooMuch.sent(to: 0).cancels == [first, first])
    let (tooLittle, second) = try announced(bytes: 100_000)
    try tooLittle.reply(second, from: 0, .bulk, piece(0, 99_999))
    #expect(tooLittle.driver.outcomes[1]?.error?.code == .internal)
    #expect(tooLittle.isTidy)
  }

  @Test func aReplyOverTheMessageLimitIsRefused() throws {
    let (router, id) = try announced(bytes: Limits().maxMessageBytes + 1)
    #expect(router.driver.outcomes[1]?.error?.reason == .responseTooLarge)
    #expect(try router.sent(to: 0).cancels == [id, id])
    try router.refuse(id, from: 0)
    #expect(router.isTidy)
  }

  @Test func aDrainingShardIsKeptUntilLargeRepliesHaveCome() throws {
    let (router, id) = try announced(bytes: 100_000)
    var draining = Ringstore_Internal_V1_ShardFrame()
    draining.draining = true
    try router.receive(draining, from: 0)
    #expect(router.driver.connections[0] != nil)
    try router.reply(id, from: 0, .bulk, piece(0, 100_000))
    #expect(router.driver.connections[0] == nil)
    #expect(router.driver.outcomes[1] == .replied(piece(0, 100_000)))
  }

  /// A shard returns only calls that it has not executed. Were this one taken for such a call, it
  /// would count as in flight one time too few.
  @Test func aReplyThatHasBegunCannotBeReturned() throws {
    let (router, id) = try announced(bytes: 300_000)
    try router.reply(id, from: 0, .bulk, piece(0, 100_000), more: true)
    var frame = ByteBuffer()
    let call = LinkV1.LinkCall(id: id, method: UInt32(CommandID.get.rawValue))
    frame.writeReturned(call, .wrongShard(owner: nil))
    let generation = try #require(router.driver.connections[0])
    frame.withUnsafeReadableBytes {
      router.core.linkReceived(shard: 0, lane: .bulk, generation: generation, frame: $0)
    }
    #expect(router.driver.outcomes[1]?.error?.reason == .wrongShard)
    for lane in LinkLane.allCases { #expect(router.core.callsInFlight(shard: 0, lane: lane) == 0) }
    #expect(router.isTidy)
  }

  // MARK: - Streams

  @Test func aStreamsMessagesArePassedOnUntouchedWithCreditRightBehindTheCall() throws {
    let router = try RouterFixture(shards: ["a"])
    try router.acceptAll()
    let id = try #require(try router.openStream("k", caller: 1))
    let frame = try router.sent(to: 0, .bulk)
    #expect(frame.calls.map(\.method) == [InternalMethod.listStreamPart.rawValue])
    #expect(frame.credits.map(\.bytes) == [UInt64(LinkProtocol.streamCreditBytes)])
    for number in 0..<8 {
      try router.reply(id, from: 0, .bulk, piece(UInt8(number)), more: true)
      let unused = router.core.requestedReplyBytes
      #expect(unused > 0 && unused <= LinkProtocol.streamCreditBytes)
    }
    try router.reply(id, from: 0, .bulk, [])
    #expect(
      router.driver.outcomes[1] == .streamed((0..<8).map { piece(UInt8($0)) } + [[]]))
    #expect(router.isTidy)
  }

  @Test func noMoreOfAStreamIsRequestedThanItsCallerReads() throws {
    let router = try RouterFixture(shards: ["a"])
    try router.acceptAll()
    let id = try #require(try router.openStream("k", caller: 1))
    router.driver.full = [1]
    _ = try router.sent(to: 0, .bulk)
    // One value larger than the whole credit is allowed.
    try router.reply(id, from: 0, .bulk, piece(0, 2 * LinkProtocol.streamCreditBytes), more: true)
    #expect(try credit(router).isEmpty)
    router.driver.full = []
    router.core.callerWritable(id)
    #expect(try credit(router) == [2 * LinkProtocol.streamCreditBytes])
    try router.reply(id, from: 0, .bulk)
    #expect(router.isTidy)
  }

  @Test func aStreamThatIsCutOffFails() throws {
    let router = try RouterFixture(shards: ["a"])
    try router.acceptAll()
    let id = try #require(try router.openStream("k", caller: 1))
    _ = try router.sent(to: 0, .bulk)
    try router.reply(id, from: 0, .bulk, [1], more: true)
    router.lose(0, .calls)
    #expect(router.driver.outcomes[1]?.error?.reason == .shardUnavailable)
    #expect(router.driver.emitted[1] == [[1]])
    #expect(try router.openStream("k", caller: 2) == nil)
    #expect(router.driver.outcomes[2]?.error?.reason == .shardUnavailable)
    #expect(router.isTidy)
  }

  @Test func aStreamDelaysNoCallOnItsKey() throws {
    let router = try RouterFixture(shards: ["a"])
    try router.acceptAll()
    let id = try #require(try router.openStream("k", caller: 1))
    router.set("k", caller: 2)
    #expect(try router.sent(to: 0).calls.count == 1)
    router.core.cancel(id)
    #expect(try router.sent(to: 0, .bulk).cancels == [id])
    #expect(router.core.requestedReplyBytes == 0)
  }

  @Test func aStreamThatWaitsForSpaceGetsItsCreditWhenItIsSent() throws {
    var limits = LinkLimits()
    limits.bulkCallsInFlightMax = 1
    let router = try RouterFixture(shards: ["a"], linkLimits: limits)
    try router.acceptAll()
    let first = try #require(try router.openStream("k", caller: 1))
    _ = try #require(try router.openStream("k", caller: 2))
    #expect(router.driver.paused[2] == 1)
    _ = try router.sent(to: 0, .bulk)
    // From its first part on a stream is bounded by its caller, and leaves its room to others.
    try router.reply(first, from: 0, .bulk, [1], more: true)
    let frame = try router.sent(to: 0, .bulk)
    #expect(frame.calls.count == 1 && frame.credits.count == 1)
    #expect(router.driver.paused[2] == 0)
  }
}

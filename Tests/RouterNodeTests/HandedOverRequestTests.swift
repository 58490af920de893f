// Large requests that the router sends from where they were received.

import Commands
import LargeMemory
import NIOCore
import NodeCore
import ProtobufMessages
import RingstoreAPI
import Testing

@testable import RouterNode

@Suite struct HandedOverRequestTests {
  private func router(_ change: (inout LinkLimits) -> Void = { _ in }) throws -> RouterFixture {
    var limits = LinkLimits()
    change(&limits)
    let router = try RouterFixture(shards: ["a"], linkLimits: limits)
    try router.acceptAll()
    return router
  }

  /// An encoded Set with a value of `bytes` bytes, in memory that may be kept.
  private func request(_ key: String, bytes: Int = 2 << 20) throws -> OwnedBytes {
    var request = Ringstore_V1_KeyValue()
    request.key = .init(key.utf8)
    request.value = .init(repeating: FakeShard.valueByte, count: bytes)
    let encoded: [UInt8] = try request.serializedBytes()
    return encoded.withUnsafeBytes { OwnedBytes(copying: $0) }
  }

  private func set(_ request: OwnedBytes, _ router: RouterFixture, caller: Int) -> UInt64? {
    request.withBytes {
      router.core.submit(
        UInt32(CommandID.set.rawValue), message: $0, in: request.block, CallContext(),
        endsAtDeadline: false, caller: caller)
    }
  }

  @Test func theRequestIsTheEndOfItsFrameAndIsNotCopied() throws {
    let router = try router()
    let request = try request("k")
    // One that is copied comes first, and one after.
    router.set("l", bytes: 100_000, caller: 1)
    _ = set(request, router, caller: 2)
    router.set("m", bytes: 100_000, caller: 3)
    let first = try #require(router.core.takeFrame(shard: 0, lane: .bulk))
    let tail = try #require(first.tail)
    #expect(tail.block === request.block && tail.count == request.count)
    #expect(first.head.readableBytes < 101_000)
    let calls = try Ringstore_Internal_V1_RouterFrame(
      serializedBytes: Array(first.joined.readableBytesView)
    ).calls
    #expect(calls.count == 2)
    #expect(request.withBytes { bytes in calls.last?.request.elementsEqual(bytes) } == true)
    #expect(first.byteCount == first.joined.readableBytes)
    let second = try router.sent(to: 0, .bulk).calls
    #expect(second.count == 1)
    for call in calls + second { try router.reply(call.id, from: 0, .bulk) }
    #expect(router.isTidy)
  }

  @Test func aSmallOneIsCopied() throws {
    let router = try router()
    _ = set(try request("k", bytes: 500_000), router, caller: 1)
    let frame = try #require(router.core.takeFrame(shard: 0, lane: .bulk))
    #expect(frame.tail == nil)
    #expect(frame.head.readableBytes > 500_000)
  }

  @Test func aRequestThatWaitsIsHeldAndCounted() throws {
    let router = try router { $0.bulkCallsInFlightMax = 1 }
    router.set("l", bytes: 100_000, caller: 1)
    let first = try #require(try router.sent(to: 0, .bulk).calls.first)
    let waiting = try request("k")
    _ = set(waiting, router, caller: 2)
    #expect(router.core.takeFrame(shard: 0, lane: .bulk) == nil)
    #expect(router.core.links[0].waitingBytes > waiting.count)
    try router.reply(first.id, from: 0, .bulk)
    let frame = try #require(router.core.takeFrame(shard: 0, lane: .bulk))
    #expect(frame.tail?.block === waiting.block)
    #expect(router.core.links[0].waitingBytes == 0)
  }

  @Test(arguments: [true, false])
  func aLostLinkReleasesWhatItHeld(isInFrame: Bool) throws {
    let router = try router { $0.bulkCallsInFlightMax = isInFrame ? 8 : 1 }
    if !isInFrame { router.set("l", bytes: 100_000, caller: 1) }
    weak var block: LargeBlock?
    do {
      let request = try request("k")
      block = request.block
      _ = set(request, router, caller: 2)
    }
    #expect(block != nil)
    router.lose(0)
    #expect(block == nil)
    // It was not on its way, so nothing is in doubt.
    #expect(router.driver.outcomes[2]?.error?.reason == .shardUnavailable)
    #expect(router.isTidy)
  }

  @Test func whetherItWasSentIsKnownByItsFrame() throws {
    let router = try router()
    _ = set(try request("k"), router, caller: 1)
    _ = set(try request("l"), router, caller: 2)
    _ = router.core.takeFrame(shard: 0, lane: .bulk)
    router.lose(0)
    #expect(router.driver.outcomes[1]?.error?.reason == .outcomeUnknown)
    #expect(router.driver.outcomes[2]?.error?.reason == .shardUnavailable)
  }

  @Test func anItemThatIsHalfOfItsRequestIsHandedOverAndOthersAreCopied() throws {
    let router = try router()
    router.givesBlocks = true
    var request = Ringstore_V1_MSetRequest()
    request.items = [2 << 20, 10, 3 << 20].enumerated().map { index, bytes in
      var item = Ringstore_V1_KeyValue()
      item.key = .init("key\(index)".utf8)
      item.value = .init(repeating: FakeShard.valueByte, count: bytes)
      return item
    }
    _ = try router.start(.mSet, request, caller: 1)
    let first = try #require(router.core.takeFrame(shard: 0, lane: .bulk))
    #expect(first.tail == nil && first.head.readableBytes > 2 << 20)
    let second = try #require(router.core.takeFrame(shard: 0, lane: .bulk))
    #expect(try #require(second.tail).count > 3 << 20)
  }
}

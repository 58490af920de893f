// The way of a call through a router: placed, sent, completed, or ended by a broken link.

import Commands
import GRPC
import NodeCore
import ProtobufMessages
import RingstoreAPI
import Testing

@testable import RouterNode

@Suite struct RouterCoreTests {
  @Test func aRequestReachesItsOwnerUnchangedAndItsReplyItsCaller() throws {
    let router = try RouterFixture()
    try router.acceptAll()
    router.get(router.key(of: 1), caller: 1)
    #expect(try router.sent(to: 0).calls.isEmpty)
    let call = try #require(try router.sent(to: 1).calls.first)
    #expect(call.method == UInt32(CommandID.get.rawValue))
    #expect(
      try Ringstore_V1_Key(serializedBytes: call.request).key == .init(router.key(of: 1).utf8))
    try router.reply(call.id, from: 1, .calls, [9, 8, 7])
    #expect(router.driver.outcomes[1] == .replied([9, 8, 7]))
    #expect(router.core.callsUnderWay == 0)
  }

  @Test func anUnreachableShardFailsCallsAtOnceWithItsIdAndTheReason() throws {
    let router = try RouterFixture()
    try router.accept(0)
    router.lose(1)
    router.get(router.key(of: 1), caller: 1)
    let error = try #require(router.driver.outcomes[1]?.error)
    #expect(error.code == .unavailable)
    #expect(error.reason == .shardUnavailable)
    #expect(error.shard == "b")
    #expect(error.message.contains("connection reset"))
    #expect(error.retryDelayMillis != nil)
    router.get(router.key(of: 0), caller: 2)
    #expect(router.driver.outcomes[2] == nil, "the other shard is served")
  }

  @Test func whenALinkBreaksOnlySentWritesHaveAnUnknownOutcome() throws {
    let router = try RouterFixture()
    try router.acceptAll()
    let key = router.key(of: 0)
    router.set(key, caller: 1)
    router.get(key, caller: 2)
    _ = try router.sent(to: 0)
    router.set(key, caller: 3)
    router.lose(0)
    #expect(router.driver.outcomes[1]?.error?.reason == .outcomeUnknown)
    #expect(router.driver.outcomes[1]?.error?.doNotRetry == true)
    #expect(router.driver.outcomes[2]?.error?.reason == .shardUnavailable)
    #expect(router.driver.outcomes[3]?.error?.reason == .shardUnavailable)
    #expect(router.core.callsUnderWay == 0)
  }

  @Test func framesTakenOneByOneCountAsSentOneByOne() throws {
    var limits = LinkLimits()
    limits.frameBytes = 1
    let router = try RouterFixture(linkLimits: limits)
    try router.acceptAll()
    let key = router.key(of: 0)
    router.set(key, caller: 1)
    router.set(key, caller: 2)
    _ = router.core.takeFrame(shard: 0, lane: .calls)
    router.lose(0)
    #expect(router.driver.outcomes[1]?.error?.reason == .outcomeUnknown)
    #expect(router.driver.outcomes[2]?.error?.reason == .shardUnavailable)
  }

  @Test func invalidRequestsAreRefusedWithoutAskingAShard() throws {
    let router = try RouterFixture()
    try router.acceptAll()
    router.get("", caller: 1)
    #expect(router.driver.outcomes[1]?.error?.reason == .invalidKey)
    let garbage: [UInt8] = [0xff, 0xff]
    let id = garbage.withUnsafeBytes {
      router.core.submit(
        UInt32(CommandID.get.rawValue), message: $0, CallContext(), endsAtDeadline: false,
        caller: 2)
    }
    #expect(id == nil)
    #expect(router.driver.outcomes[2]?.error?.code == .internal)
  }

  @Test func aCancelledCallIsCancelledAtTheShardAndItsLateReplyIgnored() throws {
    let router = try RouterFixture()
    try router.acceptAll()
    let id = try #require(router.get(router.key(of: 0), caller: 1))
    _ = try router.sent(to: 0)
    router.core.cancel(id)
    #expect(try router.sent(to: 0).cancels == [id])
    #expect(router.core.callsUnderWay == 1, "the shard has yet to reply")
    try router.reply(id, from: 0)
    #expect(router.driver.outcomes[1] == nil)
    #expect(router.core.callsUnderWay == 0)
  }

  @Test func aCallEndsAtItsDeadline() throws {
    let router = try RouterFixture()
    try router.acceptAll()
    router.set(router.key(of: 0), caller: 1, deadlineNanos: router.nowNanos + 5_000_000)
    router.advance(millis: 4)
    #expect(router.driver.outcomes[1] == nil)
    router.advance(millis: 1)
    #expect(router.driver.outcomes[1]?.error?.code == .deadlineExceeded)
  }

  @Test func repliesToUnknownOrForeignCallsAreIgnored() throws {
    let router = try RouterFixture()
    try router.acceptAll()
    let id = try #require(router.get(router.key(of: 0), caller: 1))
    _ = try router.sent(to: 0)
    try router.reply(id, from: 1)
    try router.reply(id + 1, from: 0)
    try router.reply(0, from: 0)
    #expect(router.driver.outcomes[1] == nil)
    try router.reply(id, from: 0)
    #expect(router.driver.outcomes[1] != nil)
    try router.reply(id, from: 0)
  }
}

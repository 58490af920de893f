// Calls made of sub-requests, on a router: missing shards, lost links, deadlines, cancellation.
// What is the same on a shard is tested in FrontTests.

import NodeCore
import ProtobufMessages
import RingstoreAPI
import Testing

@testable import RouterNode

@Suite struct RouterFanoutTests {
  @Test func onlyTheItemsOfAnUnreachableShardFailWithItsId() throws {
    let router = try RouterFixture()
    try router.accept(0)
    router.lose(1)
    var request = Ringstore_V1_MGetRequest()
    request.keys = [router.key(of: 0), router.key(of: 1)].map { key in
      var item = Ringstore_V1_Key()
      item.key = .init(key.utf8)
      return item
    }
    _ = try router.start(.mGet, request, caller: 1)
    let call = try #require(try router.sent(to: 0).calls.first)
    var value = Ringstore_V1_Value()
    value.found = true
    try router.reply(call.id, from: 0, .calls, try value.serializedBytes())
    guard case .replied(let bytes)? = router.driver.outcomes[1] else {
      Issue.record("no reply")
      return
    }
    let response = try Ringstore_V1_MGetResponse(serializedBytes: bytes)
    #expect(response.items[0].value.found)
    #expect(response.items[1].error.reason == "SHARD_UNAVAILABLE")
    #expect(response.items[1].error.shard == "b")
  }

  @Test func theRepliesOfAllOperationsTogetherAreBounded() throws {
    var limits = Limits()
    limits.replyMemoryBytesMax = 10_000
    let router = try RouterFixture(limits: limits)
    try router.acceptAll()
    var request = Ringstore_V1_MGetRequest()
    var item = Ringstore_V1_Key()
    item.key = .init(router.key(of: 0).utf8)
    request.keys = [item, item]
    for caller in 1...2 { _ = try router.start(.mGet, request, caller: caller) }
    let calls = try router.sent(to: 0).calls.map(\.id)
    // The first reply of each; the second operation's finds no room beside the first's.
    try router.reply(calls[0], from: 0, .calls, Array(repeating: 0, count: 9_000))
    try router.reply(calls[2], from: 0, .calls, Array(repeating: 0, count: 2_000))
    #expect(router.driver.outcomes[1] == nil)
    #expect(router.driver.outcomes[2]?.error?.reason == .overloaded)
    try router.reply(calls[1], from: 0, .calls, Array(repeating: 0, count: 9_000))
    #expect(router.driver.outcomes[1]?.error == nil)
    #expect(router.core.replyMemory.heldBytes == 0)
  }

  @Test func aRequestThatFindsNoRoomIsRefusedBeforeAnyPartOfItIsSent() throws {
    var limits = Limits()
    limits.replyMemoryBytesMax = 10_000
    let router = try RouterFixture(limits: limits)
    try router.acceptAll()
    var request = Ringstore_V1_MSetRequest()
    var item = Ringstore_V1_KeyValue()
    item.key = .init(router.key(of: 0).utf8)
    item.value = .init(count: 6_000)
    request.items = [item]
    for caller in 1...2 { _ = try router.start(.mSet, request, caller: caller) }
    #expect(try router.sent(to: 0).calls.count == 1)
    #expect(router.driver.outcomes[2]?.error?.reason == .overloaded)
  }

  @Test func aWriteItemWhoseReplyIsLostHasAnUnknownOutcome() throws {
    let router = try RouterFixture()
    try router.acceptAll()
    var request = Ringstore_V1_MDeleteRequest()
    var item = Ringstore_V1_DeleteRequest()
    item.key = .init(router.key(of: 0).utf8)
    request.keys = [item]
    _ = try router.start(.mDelete, request, caller: 1)
    _ = try router.sent(to: 0)
    router.lose(0)
    guard case .replied(let bytes)? = router.driver.outcomes[1] else {
      Issue.record("no reply")
      return
    }
    let response = try Ringstore_V1_MDeleteResponse(serializedBytes: bytes)
    #expect(response.items[0].error.reason == "OUTCOME_UNKNOWN")
  }

  @Test func theCoreEndsAnOperationAtTheDeadlineThatWasSet() throws {
    let router = try RouterFixture()
    try router.acceptAll()
    let handle = try #require(
      try router.start(.dbSize, Ringstore_V1_DbSizeRequest(), caller: 1))
    router.core.endOperation(handle, atNanos: router.nowNanos + 1_000_000)
    #expect(router.core.nextWakeupNanos == router.nowNanos + 1_000_000)
    let parts = try (0...1).map { try #require(try router.sent(to: $0).calls.first).id }
    router.advance(millis: 1)
    #expect(router.driver.outcomes[1]?.error?.code == .deadlineExceeded)
    for (shard, part) in parts.enumerated() {
      #expect(try router.sent(to: shard).cancels == [part])
      try router.refuse(part, from: shard)
    }
    #expect(router.isTidy)
  }

  @Test func anOperationThatEndsInTimeLeavesNoDeadlineBehind() throws {
    let router = try RouterFixture()
    try router.acceptAll()
    let handle = try #require(
      try router.start(.dbSize, Ringstore_V1_DbSizeRequest(), caller: 1))
    router.core.endOperation(handle, atNanos: router.nowNanos + 1_000_000)
    for shard in 0...1 {
      let part = try #require(try router.sent(to: shard).calls.first)
      try router.reply(part.id, from: shard, .calls, [])
    }
    #expect(router.core.nextWakeupNanos == nil && router.isTidy)
    router.advance(millis: 2)
    #expect(router.driver.outcomes[1]?.error == nil)
  }

  @Test func aMissingShardFailsTheCallUnlessPartsAreAllowed() throws {
    let router = try RouterFixture()
    try router.accept(0)
    router.lose(1)
    #expect(try router.start(.dbSize, Ringstore_V1_DbSizeRequest(), caller: 1) == nil)
    #expect(router.driver.outcomes[1]?.error?.shard == "b")
    _ = try router.sent(to: 0)
    var partial = Ringstore_V1_DbSizeRequest()
    partial.allowPartial = true
    _ = try router.start(.dbSize, partial, caller: 2)
    let call = try #require(try router.sent(to: 0).calls.first)
    try router.reply(call.id, from: 0, .calls, try Ringstore_V1_DbSizeResponse().serializedBytes())
    guard case .replied(let bytes)? = router.driver.outcomes[2] else {
      Issue.record("no reply")
      return
    }
    let response = try Ringstore_V1_DbSizeResponse(serializedBytes: bytes)
    #expect(response.unreachable.map(\.shard) == ["b"])
  }

  @Test func describeListsAnUnreachableShardWithTheReason() throws {
    let router = try RouterFixture(shards: ["a"])
    router.lose(0)
    _ = try router.start(.describe, Ringstore_V1_DescribeRequest(), caller: 1)
    guard case .replied(let bytes)? = router.driver.outcomes[1] else {
      Issue.record("no reply")
      return
    }
    let response = try Ringstore_V1_DescribeResponse(serializedBytes: bytes)
    #expect(response.nodes.map(\.state) == [.unreachable])
    #expect(response.nodes[0].detail.contains("connection reset"))
  }

  @Test func aCancelledOperationSendsNothingMore() throws {
    let router = try RouterFixture(shards: ["a"])
    try router.acceptAll()
    let handle = try #require(
      try router.start(.keys, Ringstore_V1_KeysRequest(), caller: 1))
    let call = try #require(try router.sent(to: 0, .bulk).calls.first)
    router.core.cancel(handle)
    #expect(try router.sent(to: 0, .bulk).cancels == [call.id])
    try router.reply(call.id, from: 0, .bulk, [])
    #expect(try router.sent(to: 0, .bulk).calls.isEmpty)
    #expect(router.driver.outcomes.isEmpty)
    #expect(router.core.callsUnderWay == 0)
  }
}

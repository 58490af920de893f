// Calls that wait for values, as a router's core sees them.

import Commands
import NIOCore
import NodeCore
import ProtobufMessages
import RingstoreAPI
import SwiftProtobuf
import Testing

@testable import RouterNode

@Suite struct RouterParkedTests {
  let router: RouterFixture

  init() throws {
    router = try RouterFixture(shards: ["a"])
    try router.acceptAll()
    _ = try router.sent(to: 0)
  }

  /// A pop that the shard has parked.
  private func parked(_ caller: Int, key: String = "q", waitMillis: UInt32 = 60_000) throws
    -> UInt64
  {
    let id = try #require(router.pop(key, caller: caller, waitMillis: waitMillis))
    let call = try #require(try router.sent(to: 0).calls.first)
    #expect(call.id == id)
    try router.park(call, from: 0)
    return id
  }

  @Test func itIsUnderWayNoMore() throws {
    let id = try parked(1)
    #expect(router.core.links[0].isIdle && router.core.sequencer.callCount == 0)
    #expect(router.core.callsParked == 1 && router.driver.parked == [1])
    #expect(router.driver.outcomes.isEmpty)
    try router.reply(id, from: 0, .calls, [7])
    #expect(router.driver.outcomes == [1: .replied([7])])
    #expect(router.isTidy && router.driver.parked.isEmpty)
  }

  @Test func aLargePushOnItsKeyIsSentAtOnce() throws {
    let id = try #require(router.pop("q", caller: 1, waitMillis: 60_000))
    router.push("q", bytes: 100_000, caller: 2)
    #expect(try router.sent(to: 0, .bulk).calls.isEmpty, "it waits for its turn")
    let call = try #require(try router.sent(to: 0).calls.first)
    try router.park(call, from: 0)
    let push = try #require(try router.sent(to: 0, .bulk).calls.first)
    try router.reply(push.id, from: 0, .bulk)
    try router.reply(id, from: 0)
    #expect(router.driver.outcomes.count == 2 && router.isTidy)
  }

  @Test func aLargeReplyIsRequestedAsForOtherCalls() throws {
    let id = try parked(1)
    try router.announce(id, from: 0, bytes: 100_000)
    #expect(try router.sent(to: 0, .bulk).credits.map(\.bytes) == [100_000])
    #expect(router.driver.parked.isEmpty)
    try router.reply(id, from: 0, .bulk, Array(repeating: 7, count: 100_000))
    #expect(router.driver.outcomes[1] == .replied(Array(repeating: 7, count: 100_000)))
    #expect(router.isTidy)
  }

  @Test func aCallWithoutItsCallerIsForgottenAndCancelledAtTheShard() throws {
    let id = try parked(1)
    router.driver.gone.insert(1)
    router.core.cancel(id)
    #expect(try router.sent(to: 0).cancels == [id])
    try router.refuse(id, from: 0)
    #expect(router.isTidy && router.core.callsParked == 0)
  }

  @Test func aLargeValueForACallerThatIsGoneIsCancelledWhenItsNoticeComes() throws {
    let id = try parked(1)
    router.driver.gone.insert(1)
    router.core.cancel(id)
    #expect(try router.sent(to: 0).cancels == [id])
    try router.announce(id, from: 0, bytes: 100_000)
    #expect(try router.sent(to: 0).cancels == [id])
    try router.refuse(id, from: 0)
    #expect(router.isTidy)
  }

  @Test func aLargeValueIsCancelledTwiceSinceTheShardMayTakeTheFirstForOneThatCrossedIt() throws {
    let id = try parked(1)
    router.driver.full.insert(1)
    try router.announce(id, from: 0, bytes: 100_000)
    router.driver.gone.insert(1)
    router.core.cancel(id)
    #expect(try router.sent(to: 0).cancels == [id, id])
  }

  // MARK: - Callers that wait no longer

  @Test func aParkedCallThatEndsItsWaitHasFoundNothingIfItsShardReleasesIt() throws {
    let id = try parked(1)
    router.core.endWait(id)
    router.core.endWait(id)
    #expect(try router.sent(to: 0).cancels == [id], "once: it may have a value by then")
    #expect(router.driver.outcomes.isEmpty)
    try router.refuse(id, from: 0)
    #expect(router.driver.outcomes == [1: .replied([])])
    #expect(router.isTidy && router.core.callsParked == 0)
  }

  @Test func aValueThatCrossesTheEndOfAWaitIsDelivered() throws {
    let (small, large) = (try parked(1), try parked(2))
    router.core.endWait(small)
    router.core.endWait(large)
    try router.reply(small, from: 0, .calls, [7])
    try router.announce(large, from: 0, bytes: 100_000)
    #expect(try router.sent(to: 0).cancels == [small, large])
    #expect(try router.sent(to: 0, .bulk).credits.map(\.bytes) == [100_000])
    try router.reply(large, from: 0, .bulk, Array(repeating: 7, count: 100_000))
    #expect(router.driver.outcomes[1] == .replied([7]))
    #expect(router.driver.outcomes[2] == .replied(Array(repeating: 7, count: 100_000)))
    #expect(router.isTidy)
  }

  @Test func aCallOnItsWayIsNotCancelledWhenItsWaitEnds() throws {
    let ids = try (1...2).map { try #require(router.pop("q", caller: $0, waitMillis: 60_000)) }
    let calls = try router.sent(to: 0).calls
    for id in ids { router.core.endWait(id) }
    #expect(try router.sent(to: 0).cancels.isEmpty, "it may find a value")
    try router.reply(ids[0], from: 0, .calls, [7])
    #expect(router.driver.outcomes[1] == .replied([7]))
    try router.park(calls[1], from: 0)
    #expect(try router.sent(to: 0).cancels == [ids[1]])
    try router.refuse(ids[1], from: 0)
    #expect(router.driver.outcomes[2] == .replied([]))
    #expect(router.isTidy && router.driver.parked.isEmpty)
  }

  @Test func aWaitThatEndsWhileItsLinkIsLostIsTriedOnceMore() throws {
    let (id, ran) = (try parked(1), try parked(2))
    router.lose(0)
    router.core.endWait(id)
    router.core.endWait(ran)
    router.advance(millis: 1_000)
    try router.accept(0, ran: [ran])
    #expect(router.driver.outcomes[2]?.error?.reason == .outcomeUnknown)
    let frame = try router.sent(to: 0)
    #expect(frame.calls.map(\.id) == [id] && frame.cancels.isEmpty)
    try router.park(try #require(frame.calls.first), from: 0)
    #expect(try router.sent(to: 0).cancels == [id])
    try router.refuse(id, from: 0)
    #expect(router.driver.outcomes[1] == .replied([]))
    #expect(router.isTidy)
  }

  @Test func aDrainAfterTheEndOfAWaitAsksForNothingMore() throws {
    let id = try parked(1)
    router.core.endWait(id)
    router.core.endParked()
    #expect(try router.sent(to: 0).cancels == [id])
    try router.refuse(id, from: 0)
    #expect(router.driver.outcomes[1]?.error?.reason == .shardUnavailable)
    #expect(router.isTidy)
  }

  @Test func aCallerOverItsLimitIsRefusedWhenTheShardHasReleasedTheCall() throws {
    router.driver.parkedMax = 1
    _ = try parked(1)
    let second = try parked(2)
    #expect(router.driver.outcomes.isEmpty)
    #expect(try router.sent(to: 0).cancels == [second])
    // Were there a value on its way, it would be the reply.
    try router.refuse(second, from: 0)
    #expect(router.driver.outcomes[2]?.error?.reason == .overloaded)
    let third = try parked(3)
    #expect(try router.sent(to: 0).cancels == [third])
    try router.reply(third, from: 0, .calls, [7])
    #expect(router.driver.outcomes[3] == .replied([7]))
  }

  @Test func aCallWhoseUserWasRemovedIsCancelledWhenItIsParked() throws {
    router.driver.callerRefusal = .unauthenticatedAnymore
    let id = try parked(1)
    #expect(try router.sent(to: 0).cancels == [id])
    try router.refuse(id, from: 0)
    #expect(router.driver.outcomes[1]?.error?.reason == .unauthenticated)
    #expect(router.isTidy && router.core.callsParked == 0)
  }

  @Test func aDrainCancelsParkedCallsAtTheShard() throws {
    let ids = [try parked(1), try parked(2)]
    router.core.endParked()
    #expect(try router.sent(to: 0).cancels == ids)
    try router.refuse(ids[0], from: 0)
    try router.reply(ids[1], from: 0, .calls, [7])
    #expect(router.driver.outcomes[1]?.error?.reason == .shardUnavailable)
    #expect(router.driver.outcomes[2] == .replied([7]))
    // Calls that are parked from now on are recalled at once.
    let late = try parked(3)
    #expect(try router.sent(to: 0).cancels == [late])
  }

  @Test func whatHasNotRunWaitsAgainForTheRestOfItsTime() throws {
    let ids = [try parked(1), try parked(2), try parked(3)]
    router.lose(0)
    #expect(router.driver.outcomes.isEmpty && router.core.callsParked == 3)
    router.advance(millis: 1_000)
    let hello = try router.accept(0, ran: [ids[1]])
    #expect(hello.parkedCalls == ids)
    #expect(router.driver.outcomes.keys.sorted() == [2])
    #expect(router.driver.outcomes[2]?.error?.reason == .outcomeUnknown)
    let again = try router.sent(to: 0).calls
    #expect(again.map(\.id) == [ids[0], ids[2]])
    let waits = try again.map {
      try Ringstore_V1_PopRequest(serializedBytes: $0.request).waitMillis
    }
    #expect(waits == [59_000, 59_000])
    for call in again { try router.reply(call.id, from: 0) }
    #expect(router.driver.outcomes.count == 3 && router.isTidy)
  }

  @Test func anotherIncarnationHasRunNothing() throws {
    let id = try parked(1)
    router.lose(0)
    router.advance(millis: 1_000)
    try router.accept(0, incarnation: 2, ran: [id])
    #expect(try router.sent(to: 0).calls.map(\.id) == [id])
    #expect(router.driver.outcomes.isEmpty)
  }

  @Test func whatAnIncarnationThatKeepsItsDataHadRunIsUnknown() throws {
    let id = try parked(1)
    router.lose(0)
    router.advance(millis: 1_000)
    try router.accept(0, recovers: true)
    let again = try #require(try router.sent(to: 0).calls.first)
    #expect(again.id == id, "it is the same process")
    try router.park(again, from: 0)
    router.lose(0)
    router.advance(millis: 1_000)
    try router.accept(0, incarnation: 2, recovers: true)
    #expect(try router.sent(to: 0).calls.isEmpty)
    #expect(router.driver.outcomes[1]?.error?.reason == .outcomeUnknown)
    #expect(router.isTidy)
  }

  @Test func aLinkThatIsLostForTooLongLeavesTheOutcomeUnknown() throws {
    _ = try parked(1)
    router.lose(0)
    #expect(router.driver.outcomes.isEmpty)
    router.advance(millis: 10_000)
    #expect(router.driver.outcomes[1]?.error?.reason == .outcomeUnknown)
    try router.accept(0)
    #expect(try router.sent(to: 0).calls.isEmpty && router.isTidy)
  }

  @Test func aDeadlineEndsItWhileTheLinkIsLost() throws {
    let id = try #require(
      router.pop("q", caller: 1, waitMillis: 60_000, deadlineNanos: router.nowNanos + 1_000_000_000)
    )
    try router.park(try #require(try router.sent(to: 0).calls.first), from: 0)
    router.lose(0)
    router.advance(millis: 1_000)
    #expect(router.driver.outcomes[1]?.error?.code == .deadlineExceeded)
    let hello = try router.accept(0)
    #expect(!hello.parkedCalls.contains(id) && router.isTidy)
  }

  @Test func aReturnedCallIsRoutedAgain() throws {
    let id = try parked(1)
    var returned = ByteBuffer()
    let request: [UInt8] = try RouterFixture.popRequest("q", waitMillis: 60_000).serializedBytes()
    request.withUnsafeBytes {
      returned.writeReturned(
        LinkV1.LinkCall(id: id, method: UInt32(CommandID.lPop.rawValue), request: $0),
        .wrongShard(owner: nil))
    }
    returned.withUnsafeReadableBytes {
      router.core.linkReceived(
        shard: 0, lane: .calls, generation: router.driver.connections[0] ?? 0, frame: $0)
    }
    router.advance(millis: 100)
    let again = try #require(try router.sent(to: 0).calls.first)
    #expect(again.id == id)
    #expect(
      try Ringstore_V1_PopRequest(serializedBytes: again.request).waitMillis == 60_000)
    try router.park(again, from: 0)
    try router.reply(id, from: 0)
    #expect(router.driver.outcomes[1] == .replied([1]) && router.isTidy)
  }
}

extension RouterFixture {
  static func popRequest(_ key: String, waitMillis: UInt32) -> Ringstore_V1_PopRequest {
    var request = Ringstore_V1_PopRequest()
    request.key = .init(key.utf8)
    request.waitMillis = waitMillis
    return request
  }

  func pop(
    _ key: String, caller: Int, waitMillis: UInt32, deadlineNanos: UInt64? = nil
  ) -> UInt64? {
    submit(
      .lPop, Self.popRequest(key, waitMillis: waitMillis), caller: caller,
      deadlineNanos: deadlineNanos)
  }

  func push(_ key: String, bytes: Int, caller: Int) {
    var request = Ringstore_V1_ListInsert()
    request.key = .init(key.utf8)
    request.values = [.init(repeating: 1, count: bytes)]
    submit(.rPush, request, caller: caller)
  }

  /// Plays a shard that parks a call.
  func park(_ call: Ringstore_Internal_V1_LinkCall, from shard: Int) throws {
    var frame = Ringstore_Internal_V1_ShardFrame()
    var reply = Ringstore_Internal_V1_LinkReply()
    reply.id = call.id
    reply.response = try call.serializedData()
    reply.more = true
    reply.parked = true
    frame.replies = [reply]
    try receive(frame, from: shard)
  }
}

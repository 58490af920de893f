// The two lanes of a link: which calls go where, what keeps them in order, and that they live and
// die together.

import Commands
import NodeCore
import ProtobufMessages
import RingstoreAPI
import Testing

@testable import RouterNode

@Suite struct RouterLaneTests {
  static let large = Limits().bulkBytesMin + 1

  @Test func aLinkIsReadyWhenBothLanesWereAccepted() throws {
    let router = try RouterFixture(shards: ["a"])
    let calls = try router.greet(0, .calls)
    router.get("k", caller: 1)
    #expect(router.driver.outcomes[1]?.error?.reason == .shardUnavailable)
    #expect(!router.core.haveLinksBeenTried)
    let bulk = try router.greet(0, .bulk)
    #expect(calls.generation == bulk.generation && calls.router == bulk.router)
    #expect(router.core.unreachableDetail(shard: 0) == nil)
    #expect(router.driver.events == [.linkReady(shard: "a", incarnation: 1)])
  }

  @Test func theLossOfEitherLaneIsTheLossOfTheLink() throws {
    for lane in LinkLane.allCases {
      let router = try RouterFixture(shards: ["a"])
      try router.acceptAll()
      let generation = try #require(router.driver.connections[0])
      router.set("k", caller: 1)
      router.set("l", bytes: Self.large, caller: 2)
      _ = try (router.sent(to: 0, .calls), router.sent(to: 0, .bulk))
      router.lose(0, lane)
      #expect(router.driver.connections[0] == nil, "the other lane is dropped")
      #expect(router.driver.outcomes[1]?.error?.reason == .outcomeUnknown)
      #expect(router.driver.outcomes[2]?.error?.reason == .outcomeUnknown)
      #expect(router.isTidy)
      router.advance(millis: 2_000)
      #expect(try router.accept(0).generation > generation)
    }
  }

  @Test func lanesThatReachTwoIncarnationsAreDropped() throws {
    let router = try RouterFixture(shards: ["a"])
    try router.greet(0, .calls, incarnation: 1)
    try router.greet(0, .bulk, incarnation: 2)
    #expect(router.driver.connections[0] == nil)
    #expect(router.core.unreachableDetail(shard: 0)?.contains("restarted") == true)
  }

  @Test func theLinkToAShardThatDrainsWhileItIsGreetedIsClosed() throws {
    let router = try RouterFixture(shards: ["a"])
    try router.greet(0, .calls)
    var draining = Ringstore_Internal_V1_ShardFrame()
    draining.draining = true
    try router.receive(draining, from: 0)
    try router.greet(0, .bulk)
    #expect(router.driver.connections[0] == nil)
    #expect(router.driver.events.contains(.linkDraining(shard: "a")))
  }

  @Test func largeRequestsAndSlicesWithLargeRepliesUseTheBulkLane() throws {
    let router = try RouterFixture(shards: ["a"])
    try router.acceptAll()
    router.set("small", bytes: 100, caller: 1)
    router.set("large", bytes: Self.large, caller: 2)
    _ = try router.start(.keys, Ringstore_V1_KeysRequest(), caller: 3)
    _ = try router.start(.dbSize, Ringstore_V1_DbSizeRequest(), caller: 4)
    #expect(
      try router.sent(to: 0, .calls).calls.map(\.method) == [
        UInt32(CommandID.set.rawValue), InternalMethod.dbSizePart.rawValue,
      ])
    #expect(
      try router.sent(to: 0, .bulk).calls.map(\.method) == [
        UInt32(CommandID.set.rawValue), InternalMethod.keysPart.rawValue,
      ])
  }

  @Test func aLargeCallWaitsForEarlierSmallOnesOnItsKeyAndLaterOnesForIt() throws {
    let router = try RouterFixture(shards: ["a"])
    try router.acceptAll()
    let first = try #require(router.set("k", caller: 1))
    let large = try #require(router.set("k", bytes: Self.large, caller: 2))
    let last = try #require(router.get("k", caller: 3))
    router.get("other", caller: 4)
    #expect(try router.sent(to: 0).calls.map(\.id).first == first)
    #expect(try router.sent(to: 0, .bulk).calls.isEmpty)
    #expect(router.driver.paused == [2: 1, 3: 1])
    try router.reply(first, from: 0)
    #expect(try router.sent(to: 0, .bulk).calls.map(\.id) == [large])
    #expect(try router.sent(to: 0).calls.isEmpty)
    try router.reply(large, from: 0, .bulk)
    #expect(try router.sent(to: 0).calls.map(\.id) == [last])
    #expect(router.driver.paused == [2: 0, 3: 0])
  }

  /// The destination of a move is a key of its own in the order of calls.
  @Test func aMoveWaitsForALargeCallOnItsDestinationAndLaterCallsWaitForTheMove() throws {
    let router = try RouterFixture(shards: ["a"])
    try router.acceptAll()
    let large = try #require(router.set("{t}to", bytes: Self.large, caller: 1))
    let move = try #require(router.move("{t}from", to: "{t}to", caller: 2))
    let read = try #require(router.get("{t}from", caller: 3))
    router.get("{t}other", caller: 4)
    #expect(try router.sent(to: 0, .bulk).calls.map(\.id) == [large])
    #expect(try router.sent(to: 0).calls.count == 1, "only the other key's")
    try router.reply(large, from: 0, .bulk)
    #expect(try router.sent(to: 0).calls.map(\.id) == [move, read])
  }

  @Test func itemsOfAManyKeyCallKeepTheirOrderOverTheLanes() throws {
    let router = try RouterFixture(shards: ["a"])
    try router.acceptAll()
    var request = Ringstore_V1_MSetRequest()
    request.items = [0, Self.large, 0].map { bytes in
      var item = Ringstore_V1_KeyValue()
      item.key = .init("k".utf8)
      item.value = .init(count: bytes)
      return item
    }
    _ = try router.start(.mSet, request, caller: 1)
    #expect(router.driver.paused[1] == 1, "once, however many of its parts wait")
    for lane in [LinkLane.calls, .bulk, .calls] {
      let calls = try router.sent(to: 0, lane).calls
      #expect(calls.count == 1)
      #expect(try router.sent(to: 0, lane == .calls ? .bulk : .calls).calls.isEmpty)
      try router.reply(calls.first?.id ?? 0, from: 0, lane, [])
    }
    #expect(router.driver.paused[1] == 0)
    #expect(router.driver.outcomes[1] != nil)
    #expect(router.isTidy)
  }

  @Test func aLargeCallWithoutAClientStillDelaysLaterOnes() throws {
    let router = try RouterFixture(shards: ["a"])
    try router.acceptAll()
    let large = try #require(router.set("k", bytes: Self.large, caller: 1))
    _ = try router.sent(to: 0, .bulk)
    router.core.cancel(large)
    #expect(try router.sent(to: 0, .bulk).cancels == [large])
    router.set("k", caller: 2)
    #expect(try router.sent(to: 0).calls.isEmpty, "the shard may execute the large one yet")
    try router.refuse(large, from: 0, .bulk)
    #expect(try router.sent(to: 0).calls.count == 1)
  }

  @Test func aCallThatWaitsForItsTurnIsRefusedWhenItHasWaitedTooLong() throws {
    var limits = LinkLimits()
    limits.waitNanosMax = 1_000_000_000
    let router = try RouterFixture(shards: ["a"], linkLimits: limits)
    try router.acceptAll()
    router.set("k", caller: 1)
    router.set("k", bytes: Self.large, caller: 2)
    router.set("k", caller: 3)
    router.advance(millis: 1_000)
    for caller in 2...3 {
      #expect(router.driver.outcomes[caller]?.error?.reason == .overloaded)
      #expect(router.driver.paused[caller] == 0)
    }
    #expect(router.core.sequencer.isEmpty)
  }

  @Test func aFullBulkLaneDoesNotDelaySmallCalls() throws {
    var limits = LinkLimits()
    limits.bulkCallsInFlightMax = 1
    let router = try RouterFixture(shards: ["a"], linkLimits: limits)
    try router.acceptAll()
    for caller in 1...3 { router.set("k\(caller)", bytes: Self.large, caller: caller) }
    router.get("small", caller: 9)
    #expect(try router.sent(to: 0, .bulk).calls.count == 1)
    #expect(try router.sent(to: 0).calls.count == 1)
    #expect(router.driver.paused == [2: 1, 3: 1])
  }

  @Test func memoryOfCallsThatWaitIsBounded() throws {
    var limits = LinkLimits()
    limits.callsInFlightMax = 1
    limits.waitingBytesMax = 10 * (LinkLimits.waitingCallBytes + 20)
    let router = try RouterFixture(shards: ["a"], linkLimits: limits)
    try router.acceptAll()
    for caller in 1...100 { router.get("k", caller: caller) }
    #expect(router.core.callsWaiting < 15)
    #expect(router.driver.outcomes[100]?.error?.reason == .overloaded)
    #expect(router.driver.outcomes[2] == nil)
  }

  @Test func cancelledCallsThatWaitedLeaveNothingBehind() throws {
    var limits = LinkLimits()
    limits.callsInFlightMax = 1
    let router = try RouterFixture(shards: ["a"], linkLimits: limits)
    try router.acceptAll()
    let first = try #require(router.get("k", caller: 0))
    for caller in 1...5_000 {
      let id = try #require(router.get("k", caller: caller))
      router.core.cancel(id)
    }
    #expect(router.core.callsWaiting == 0 && router.core.callsUnderWay == 1)
    #expect(router.core.links[0].waitingBytes == 0)
    _ = try router.sent(to: 0)
    try router.reply(first, from: 0)
    #expect(router.isTidy)
  }
}

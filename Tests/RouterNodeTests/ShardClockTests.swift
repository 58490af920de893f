// What a router does with its shards' clocks: frames that name them, deadlines told on them, signs
// of life.

import NodeCore
import ProtobufMessages
import RingstoreAPI
import Testing

@testable import RouterNode

@Suite struct ShardClockTests {
  @Test func aDeadlineIsSentOnTheShardsClockRoundedUp() {
    var clock = ShardClock()
    clock.heard(1_000, nowNanos: 5_000_000_000)
    #expect(clock.millis(ofDeadline: 5_000_000_000) == 1_000)
    #expect(clock.millis(ofDeadline: 5_000_000_001) == 1_001)
    #expect(clock.millis(ofDeadline: 6_500_000_000) == 2_500)
    #expect(clock.millis(ofDeadline: 0) == 1, "0 would mean that there is none")
  }

  @Test func theReadingThatWasOnItsWayForTheShortestTimeCounts() {
    var clock = ShardClock()
    clock.heard(1_000, nowNanos: 5_300_000_000)
    clock.heard(1_500, nowNanos: 5_500_000_000)
    #expect(clock.millis(ofDeadline: 6_000_000_000) == 2_000)
    // Heard late: no reason to think that deadlines come earlier.
    clock.heard(2_000, nowNanos: 6_900_000_000)
    #expect(clock.millis(ofDeadline: 7_000_000_000) == 3_000)
    #expect(clock.heardMillis == 2_000)
  }

  @Test func clocksThatDriftApartAreFollowed() {
    var clock = ShardClock()
    clock.heard(1, nowNanos: 1_000_000)
    // Ours is faster by 100 in a million.
    for step in 1...10_000 as ClosedRange<UInt64> {
      clock.heard(1 + 500 * step, nowNanos: 1_000_000 + 500_050_000 * step)
    }
    #expect(clock.millis(ofDeadline: 1_000_000 + 500_050_000 * 10_000) == 5_000_001)
  }

  @Test(arguments: [(UInt64.max, UInt64.max), (.max, 0), (0, .max), (1 << 62, 1 << 62)])
  func noReadingTraps(_ millis: UInt64, _ nowNanos: UInt64) {
    var clock = ShardClock()
    clock.heard(millis, nowNanos: nowNanos)
    clock.heard(nowNanos, nowNanos: millis)
    for deadline in [0, 1, UInt64.max, millis, nowNanos] {
      #expect(clock.millis(ofDeadline: deadline) > 0)
    }
  }

  private func tell(_ millis: UInt64, _ router: RouterFixture) throws {
    var frame = Ringstore_Internal_V1_ShardFrame()
    frame.clockMillis = millis
    try router.receive(frame, from: 0)
  }

  @Test func everyFrameWithCallsHasTheNewestClock() throws {
    let router = try RouterFixture(shards: ["a"])
    try router.acceptAll()
    router.set("k", caller: 1)
    #expect(try router.sent(to: 0).heardMillis == 1)
    _ = try router.sent(to: 0, .bulk)
    try tell(700, router)
    router.set("k", caller: 2)
    router.set("l", bytes: RouterLaneTests.large, caller: 3)
    #expect(try router.sent(to: 0).heardMillis == 700)
    #expect(try router.sent(to: 0, .bulk).heardMillis == 700)
  }

  @Test func aClockIsReturnedOverBothLanesEvenWithoutOutput() throws {
    let router = try RouterFixture(shards: ["a"])
    try router.acceptAll()
    _ = try (router.sent(to: 0), router.sent(to: 0, .bulk))
    try tell(700, router)
    for lane in LinkLane.allCases {
      #expect(router.driver.withOutput.contains(RecordingDriver.Lane(shard: 0, lane: lane)))
      let frame = try router.sent(to: 0, lane)
      #expect(frame.heardMillis == 700 && frame.calls.isEmpty)
    }
  }

  @Test func whatAnOlderConnectionReportedIsForgotten() throws {
    let router = try RouterFixture(shards: ["a"])
    try router.acceptAll()
    try tell(90_000, router)
    router.lose(0)
    router.advance(millis: 2_000)
    try router.accept(0, incarnation: 2)
    router.set("k", caller: 1)
    #expect(try router.sent(to: 0).heardMillis == 1)
  }

  @Test func aDeadlineTravelsOnTheShardsClockInCallsThatWaitedToo() throws {
    var limits = LinkLimits()
    limits.callsInFlightMax = 1
    let router = try RouterFixture(shards: ["a"], linkLimits: limits)
    try router.acceptAll()
    let deadline = router.nowNanos + 3_000_000_000
    let first = try #require(router.set("k", caller: 1, deadlineNanos: deadline))
    router.set("l", caller: 2, deadlineNanos: deadline)
    #expect(try router.sent(to: 0).calls.map(\.deadlineMillis) == [3_001])
    router.advance(millis: 500)
    try tell(501, router)
    try router.reply(first, from: 0)
    #expect(try router.sent(to: 0).calls.map(\.deadlineMillis) == [3_001])
  }

  @Test func aCallWhoseDeadlineHasPassedIsNotSent() throws {
    let router = try RouterFixture(shards: ["a"])
    try router.acceptAll()
    _ = try router.sent(to: 0)
    #expect(router.set("k", caller: 1, deadlineNanos: router.nowNanos) == nil)
    #expect(router.driver.outcomes[1]?.error?.code == .deadlineExceeded)
    #expect(try router.sent(to: 0).calls.isEmpty)
    #expect(router.isTidy)
  }

  @Test func partsAreNotSentAfterTheDeadlineOfTheirCall() throws {
    let router = try RouterFixture(shards: ["a"])
    try router.acceptAll()
    _ = try router.sent(to: 0)
    var request = Ringstore_V1_MSetRequest()
    request.items = [Ringstore_V1_KeyValue.with { $0.key = .init("k".utf8) }]
    _ = try router.start(.mSet, request, caller: 1, deadlineNanos: router.nowNanos)
    #expect(try router.sent(to: 0).calls.isEmpty)
    #expect(router.isTidy)
  }
}

// Shards that have forgotten their slot map: when a router may tell them again that it is in force.

import NodeCore
import Placement
import RingstoreAPI
import Testing

@testable import RouterNode

@Suite struct MapRestartTests {
  /// Its first incarnation has adopted the map, the second one may go by an older one.
  @Test func aShardThatRestartsBeforeAllHoldTheMapMustAdoptItAgain() throws {
    let world = try ChangeFixture()
    world.push(world.next, from: 0)
    try world.acceptNewcomer()
    try world.adopted(0)
    try world.adopted(1)
    for shard in 1...2 { try world.adopted(shard) }
    world.router.lose(0)
    #expect(world.core.map.epoch == 1)
    world.router.advance(millis: 1_000)
    try world.router.accept(0, incarnation: 2, inForce: false)
    #expect(world.core.map.epoch == 1, "they are asked again")
    for shard in 0...2 { try world.adopted(shard) }
    #expect(world.core.map.epoch == 2)
  }

  /// What this router knows may be older than the shard's restart: a newer map may be in force that
  /// the shard has forgotten.
  @Test func aRestartedShardServesWhenAnotherReportsAgainThatTheMapIsInForce() throws {
    let world = try ChangeFixture()
    world.router.lose(0)
    world.router.advance(millis: 1_000)
    try world.router.accept(0, incarnation: 2, inForce: false)
    #expect(try world.offers(to: 0).map(\.step) == [.adopt], "it is asked as well")
    #expect(try world.offers(to: 1).map(\.step) == [.adopt])
    try world.adopted(0)
    #expect(try world.offers(to: 0).isEmpty)
    try world.adopted(1, inForce: true)
    #expect(try world.offers(to: 0).map(\.step) == [.inForce])
    #expect(try world.offers(to: 1).isEmpty, "it knows")
  }

  @Test func aReplyToAnEarlierQueryDoesNotCountForARestartedShard() throws {
    let world = try ChangeFixture()
    let earlier = world.core.agreement.round
    world.router.lose(0)
    world.router.advance(millis: 1_000)
    try world.router.accept(0, incarnation: 2, inForce: false)
    _ = try world.offers(to: 0)
    try world.adopted(1, inForce: true, round: earlier)
    #expect(try world.offers(to: 0).isEmpty)
  }

  @Test func whereAllWereRestartedAllHaveToHoldTheMap() throws {
    let world = try ChangeFixture()
    for shard in 0...1 { world.router.lose(shard) }
    world.router.advance(millis: 1_000)
    try world.router.accept(0, incarnation: 2, inForce: false)
    #expect(try world.offers(to: 0).isEmpty, "there is nothing to ask")
    try world.router.accept(1, incarnation: 2, inForce: false)
    try world.adopted(0)
    #expect(try world.offers(to: 0).map(\.step) == [.adopt])
    try world.adopted(1)
    for shard in 0...1 { #expect(try world.offers(to: shard).last?.step == .inForce) }
  }

  @Test func aRestartedShardServesNoKeysUntilTheMapIsInForce() throws {
    let world = try ChangeFixture()
    world.router.lose(0)
    world.router.advance(millis: 1_000)
    try world.router.accept(0, incarnation: 2, inForce: false)
    let key = world.router.key(of: 0)
    world.router.get(key, caller: 1)
    let error = try #require(world.driver.outcomes[1]?.error)
    #expect(error.reason == .shardUnavailable && error.message.contains("just started"))
    #expect(world.core.unreachableDetail(shard: 0) == RouterCore<RecordingDriver>.hasJustStarted)
    try world.adopted(1, inForce: true)
    world.router.get(key, caller: 2)
    #expect(world.driver.outcomes[2] == nil && world.core.unreachableDetail(shard: 0) == nil)
    #expect(!world.core.care.isNeeded)
  }

  /// Calls on a slot wait when one of them was returned. Meanwhile the shard may be restarted.
  @Test func callsThatWaitedForTheirSlotDoNotGoToAShardThatHasForgottenTheMap() throws {
    var limits = LinkLimits()
    limits.returnedNanos = 2_000_000_000
    let world = try ChangeFixture(linkLimits: limits)
    let key = world.router.key(of: 0)
    world.router.get(key, caller: 1)
    try world.returnCall(world.callsSent(to: 0)[0], from: 0)
    world.router.lose(0)
    world.router.advance(millis: 1_000)
    try world.router.accept(0, incarnation: 2, inForce: false)
    world.router.get(key, caller: 2)
    world.router.advance(millis: 1_001)
    for caller in 1...2 {
      let error = try #require(world.driver.outcomes[caller]?.error)
      #expect(error.reason == .shardUnavailable && error.message.contains("just started"))
    }
    #expect(try world.callsSent(to: 0).isEmpty)
    #expect(world.router.isTidy)
  }

  /// Its first question is a round's, its second one another's.
  @Test func aShardThatJoinsDuringARoundIsQueriedInTheNext() throws {
    let world = try ChangeFixture(shards: ["a", "b", "c"], newcomer: "d")
    for shard in 0...1 { world.router.lose(shard) }
    world.router.advance(millis: 1_000)
    try world.router.accept(0, incarnation: 2, inForce: false)
    try world.router.accept(1, incarnation: 2, inForce: false)
    try world.adopted(2, inForce: true)
    #expect(try world.offers(to: 0).map(\.step) == [.adopt, .inForce, .adopt])
    #expect(try world.offers(to: 1).map(\.step) == [.adopt], "it joined when the others were asked")
    try world.adopted(2, inForce: true)
    #expect(try world.offers(to: 1).map(\.step) == [.inForce])
  }

  // MARK: - Time

  @Test func aSlotThatIsBusyWhenItsTimeHasComeWakesTheRouterNoMore() throws {
    let world = try ChangeFixture()
    let moving = world.movingKey
    for caller in 1...2 { world.router.get(moving.key, caller: caller) }
    let calls = try world.callsSent(to: moving.from)
    try world.returnCall(calls[0], from: moving.from)
    world.router.advance(millis: 51)
    #expect(try world.callsSent(to: moving.from).isEmpty, "the other one is in progress still")
    let next = world.core.nextWakeupNanos
    #expect(next.map { $0 > world.router.nowNanos } ?? true)
    try world.router.reply(calls[1].id, from: moving.from)
    #expect(try world.callsSent(to: moving.from).count == 1)
  }
}

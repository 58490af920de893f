// A router whose map a shard refuses serves nothing, and comes back once all shards agree.

import NodeCore
import Placement
import ProtobufMessages
import RingstoreAPI
import Testing

@testable import RouterNode

@Suite struct RouterConflictTests {
  private func refuse(_ router: RouterFixture, _ shard: Int, _ reason: String) throws {
    router.core.linkConnected(
      shard: shard, lane: .calls, generation: try #require(router.driver.connections[shard]))
    _ = try router.sent(to: shard)
    var refusal = Ringstore_Internal_V1_ShardFrame()
    refusal.hello.refusal = reason
    try router.receive(refusal, from: shard)
  }

  private func error(_ router: RouterFixture, keyOf shard: Int, caller: Int) -> CallError? {
    router.get(router.key(of: shard), caller: caller)
    return router.driver.outcomes[caller]?.error
  }

  @Test(arguments: ["MAP_CONFLICT", "STALE_MAP"])
  func linksToTheShardsThatAgreedAreClosed(reason: String) throws {
    let router = try RouterFixture()
    try router.accept(0)
    router.get(router.key(of: 0), caller: 1)
    try refuse(router, 1, reason)
    #expect(router.driver.connections[0] == nil, "the link to the shard that agreed is dropped")
    #expect(router.driver.outcomes[1]?.error != nil, "what was in progress there has failed")
    for shard in 0...1 {
      let refusal = try #require(error(router, keyOf: shard, caller: 10 + shard))
      #expect(refusal.reason == .mapConflict)
      #expect(refusal.message.contains("shard b") && refusal.message.contains(reason))
    }
  }

  @Test func onlyTheShardThatRefusedIsDialledAgain() throws {
    let router = try RouterFixture(shards: ["a", "b", "c"])
    try router.accept(0)
    try refuse(router, 1, "MAP_CONFLICT")
    router.advance(millis: 5_000)
    #expect(router.driver.connections[0] == nil && router.driver.connections[2] == nil)
    #expect(router.driver.connections[1] != nil)
  }

  @Test func theLinkToAShardThatIsBeingGreetedIsClosedToo() throws {
    let router = try RouterFixture()
    try router.greet(0, .calls)
    try refuse(router, 1, "MAP_CONFLICT")
    #expect(router.driver.connections[0] == nil)
  }

  @Test func itServesAgainOnceAllAccept() throws {
    let router = try RouterFixture()
    try router.accept(0)
    try refuse(router, 1, "MAP_CONFLICT")
    router.advance(millis: 2_000)
    try router.accept(1)
    #expect(error(router, keyOf: 1, caller: 9)?.reason == .mapConflict, "one is not all")
    router.advance(millis: 2_000)
    try router.accept(0)
    #expect(error(router, keyOf: 1, caller: 8)?.reason == .mapConflict, "not at one moment yet")
    try router.hold([0, 1])
    for shard in 0...1 { #expect(error(router, keyOf: shard, caller: shard) == nil) }
    #expect(router.core.callsUnderWay == 2)
  }

  /// A link that stayed up would be one on which the shard is never asked again.
  @Test func aShardThatRefusesOverALinkThatIsUpIsDialledAgain() throws {
    let world = try ChangeFixture()
    let router = world.router
    let others = try SlotMap.initial([ShardDescription(id: "b", address: "h:1", weight: 1)])
    try world.refuses(1, epoch: 1, "MAP_CONFLICT", theirs: others, inForce: true)
    let refusal = try #require(error(router, keyOf: 0, caller: 1))
    #expect(refusal.reason == .mapConflict && refusal.message.contains("(MAP_CONFLICT)"))
    for shard in 0...1 { #expect(router.driver.connections[shard] == nil) }
    router.advance(millis: 2_000)
    try router.accept(1)
    router.advance(millis: 2_000)
    try router.accept(0)
    try router.hold([0, 1])
    #expect(error(router, keyOf: 0, caller: 2) == nil)
  }

  @Test func otherRefusalsConcernOneShardOnly() throws {
    let router = try RouterFixture()
    try router.accept(0)
    try refuse(router, 1, "WRONG_SHARD")
    #expect(router.driver.connections[0] != nil)
    #expect(error(router, keyOf: 0, caller: 1) == nil)
    #expect(error(router, keyOf: 1, caller: 2)?.reason == .shardUnavailable)
  }
}

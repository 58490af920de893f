// The life of a link: greeting, refusal, back-off, restarts, draining, garbage.

import NodeCore
import Placement
import ProtobufMessages
import RingstoreAPI
import Testing

@testable import RouterNode

@Suite("A router's links")
struct RouterLinkTests {
  @Test func helloSaysWhoTheRouterIsAndWhatItExpects() throws {
    let router = try RouterFixture()
    let hello = try router.accept(1)
    #expect(hello.protocol == LinkProtocol.version)
    #expect(hello.cluster == "test")
    #expect(hello.router == "r/0")
    #expect(hello.expectedShard == "b")
    try (hello.map.serializedBytes() as [UInt8]).withUnsafeBytes { bytes in
      let map = try SlotMapMessage.decode(try V1.SlotMap(bytes))
      #expect(map.sameContent(as: router.core.map))
    }
  }

  @Test func everyConnectionHasAGreaterGeneration() throws {
    let router = try RouterFixture()
    let first = try router.accept(0).generation
    router.lose(0)
    router.advance(millis: 2_000)
    #expect(try router.accept(0).generation > first)
  }

  @Test func aRefusedLinkSaysWhyAndIsTriedAgain() throws {
    let router = try RouterFixture()
    router.core.linkConnected(
      shard: 0, lane: .calls, generation: try #require(router.driver.connections[0]))
    _ = try router.sent(to: 0)
    var refusal = Ringstore_Internal_V1_ShardFrame()
    refusal.hello.refusal = "MAP_CONFLICT"
    try router.receive(refusal, from: 0)
    let advice = LinkRefusal.mapConflict.sentence(address: "h:1")
    #expect(
      router.driver.events == [.linkRefused(shard: "a", reason: "MAP_CONFLICT", advice: advice)])
    #expect(router.core.unreachableDetail(shard: 0) == "MAP_CONFLICT")
    router.get(router.key(of: 0), caller: 1)
    #expect(router.driver.outcomes[1]?.error?.message.contains("MAP_CONFLICT") == true)
    let attempts = router.driver.connectCount
    router.advance(millis: 2_000)
    #expect(router.driver.connectCount > attempts)
  }

  @Test func attemptsComeAtGrowingIntervalsUpToASecond() throws {
    let router = try RouterFixture(shards: ["a"])
    var waits: [UInt64] = []
    for _ in 0..<12 {
      router.lose(0)
      let wait = try #require(router.core.nextWakeupNanos) - router.nowNanos
      waits.append(wait / 1_000_000)
      router.advance(millis: wait / 1_000_000 + 1)
    }
    #expect(waits[0] <= 60)
    #expect(waits.allSatisfy { $0 <= 1_200 })
    #expect(waits.suffix(4).allSatisfy { $0 >= 800 })
  }

  @Test func aFailureIsLoggedOnceNotAtEachAttempt() throws {
    let router = try RouterFixture(shards: ["a"])
    for _ in 0..<5 {
      router.lose(0)
      router.advance(millis: 2_000)
    }
    #expect(router.driver.events == [.linkLost(shard: "a", reason: "connection reset")])
    try router.accept(0)
    router.lose(0)
    #expect(router.driver.events.count == 3, "ready, and lost again")
  }

  @Test func aShardThatDoesNotAnswerHelloIsDropped() throws {
    let router = try RouterFixture()
    router.core.linkConnected(
      shard: 0, lane: .calls, generation: try #require(router.driver.connections[0]))
    router.advance(millis: 5_000)
    #expect(router.core.unreachableDetail(shard: 0)?.contains("Hello") == true)
  }

  @Test func eventsOfOlderConnectionsAreIgnored() throws {
    let router = try RouterFixture()
    try router.accept(0)
    let old = try #require(router.driver.connections[0])
    router.lose(0)
    router.advance(millis: 2_000)
    try router.accept(0)
    router.core.linkLost(shard: 0, lane: .bulk, generation: old, reason: "late news")
    #expect(router.core.unreachableDetail(shard: 0) == nil)
  }

  @Test func aRestartIsToldFromAReconnect() throws {
    let router = try RouterFixture(shards: ["a"])
    for incarnation in [UInt64(1), 1, 2] {
      try router.accept(0, incarnation: incarnation)
      router.lose(0)
      router.advance(millis: 2_000)
    }
    let restarts = router.driver.events.filter {
      if case .shardRestarted = $0 { return true } else { return false }
    }
    #expect(restarts == [.shardRestarted(shard: "a", incarnation: 2)])
  }

  @Test func aDrainingShardGetsNothingNewAndIsLetGoWhenItHasAnswered() throws {
    let router = try RouterFixture()
    try router.acceptAll()
    let key = router.key(of: 0)
    let id = try #require(router.get(key, caller: 1))
    _ = try router.sent(to: 0)
    var draining = Ringstore_Internal_V1_ShardFrame()
    draining.draining = true
    try router.receive(draining, from: 0)
    router.set(key, caller: 2)
    #expect(router.driver.outcomes[2]?.error?.reason == .shardUnavailable)
    #expect(router.driver.connections[0] != nil)
    try router.reply(id, from: 0)
    #expect(router.driver.outcomes[1] == .answered([1]))
    #expect(router.driver.connections[0] == nil)
  }

  @Test func garbageFromAShardEndsTheLink() throws {
    let router = try RouterFixture()
    try router.acceptAll()
    router.set(router.key(of: 0), caller: 1)
    _ = try router.sent(to: 0)
    let generation = try #require(router.driver.connections[0])
    [UInt8](repeating: 0xff, count: 9).withUnsafeBytes {
      router.core.linkReceived(shard: 0, lane: .calls, generation: generation, frame: $0)
    }
    #expect(router.driver.connections[0] == nil)
    #expect(router.driver.outcomes[1]?.error?.reason == .outcomeUnknown)
  }
}

// What the transcripts of links (LinkTranscriptTests) don't show: what Hello says, how long the
// pauses between attempts are, and old news.

import NodeCore
import Placement
import ProtobufMessages
import RingstoreAPI
import Testing

@testable import RouterNode

@Suite struct RouterLinkTests {
  @Test func helloSaysWhoTheRouterIsAndWhatItExpects() throws {
    let router = try RouterFixture()
    let hello = try router.accept(1)
    #expect(hello.protocol == LinkProtocol.version)
    #expect(hello.cluster == "test")
    #expect(hello.router == "r/0")
    #expect(hello.expectedShard == "b")
    try (hello.map.serializedBytes() as [UInt8]).withUnsafeBytes { bytes in
      let (map, _) = try SlotMapMessage.decode(try V1.SlotMap(bytes))
      #expect(map.sameContent(as: router.core.map))
    }
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
}

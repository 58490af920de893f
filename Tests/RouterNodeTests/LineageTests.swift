// A router and shards that don't have the data that they had: who is refused, and what is put on
// record.

import NodeCore
import Placement
import ProtobufMessages
import RingstoreAPI
import Testing

@testable import RouterNode

@Suite struct LineageTests {
  private let world: LineageFixture

  init() throws {
    world = try LineageFixture()
  }

  // MARK: - Who is refused

  @Test func aShardWithTheDataThatAPeerHasOnRecordServes() throws {
    try world.accept(1, nil, world.records(LineageFixture.old))
    try world.accept(0, LineageFixture.old, world.records(LineageFixture.old))
    #expect(world.error(0) == nil)
  }

  @Test(arguments: [LineageFixture.new, nil])
  func aShardWithOtherDataThanAPeerHasOnRecordIsRefused(lineage: DataLineage?) throws {
    try world.accept(1, nil, world.records(LineageFixture.old))
    try world.accept(0, lineage)
    #expect(world.isRefused(0))
    #expect(world.error(1) == nil, "the others serve")
    #expect(world.router.core.unreachableDetail(shard: 0)?.contains("accept-loss") == true)
  }

  /// A router that has just started may greet it before any shard that knows better.
  @Test func theLinkToAShardIsClosedWhenAPeerHasAnotherLineageOnRecord() throws {
    try world.accept(0, LineageFixture.new, inForce: false)
    #expect(world.router.core.lineages.isEmpty, "what it says of itself is no record")
    try world.accept(1, nil, world.records(LineageFixture.old))
    #expect(world.isRefused(0))
    #expect(world.router.core.lineages == world.records(LineageFixture.old))
  }

  @Test func aRefusalIsRetriedAndLoggedOnce() throws {
    try world.accept(1, nil, world.records(LineageFixture.old))
    for _ in 0..<3 {
      try world.refuse(0, LineageFixture.new)
      world.router.advance(millis: 2_000)
    }
    #expect(world.isRefused(0))
    #expect(world.refusalsTold == 1)
  }

  @Test func aShardWithItsOldDirectoryServesAgain() throws {
    try world.accept(1, nil, world.records(LineageFixture.old))
    try world.refuse(0, LineageFixture.new)
    world.router.advance(millis: 2_000)
    try world.accept(0, LineageFixture.old, world.records(LineageFixture.old))
    #expect(world.error(0) == nil)
  }

  @Test func helloCarriesTheRecords() throws {
    try world.accept(1, nil, world.records(LineageFixture.old))
    let hello = try world.router.greet(0, .calls, lineage: LineageFixture.old)
    #expect(hello.map.shards[0].lineage.id.count == 16)
    #expect(!hello.map.shards[1].hasLineage)
  }

  // MARK: - What is put on record

  @Test func inANewClusterAllShardsHaveItOnRecordBeforeAnyServes() throws {
    for shard in 0...2 {
      try world.accept(shard, shard == 0 ? LineageFixture.old : nil, inForce: false)
    }
    for shard in 0...2 { #expect(try world.offered(to: shard)?.id.count == 16) }
    #expect(world.router.core.unreachableDetail(shard: 0) != nil, "not before they have replied")
    for shard in 0...2 { try world.records(world.records(LineageFixture.old), at: shard) }
    #expect(world.router.core.unreachableDetail(shard: 0) == nil)
    for shard in 0...2 {
      #expect(try world.router.sent(to: shard).offer.step != .adopt, "nothing more is to be told")
    }
  }

  /// As where shards of an earlier version were replaced while an older router served.
  @Test func ifAllServeAlreadyLineagesAreRecordedWhenAllHaveReported() throws {
    for shard in 0...1 { try world.accept(shard, LineageFixture.old) }
    for shard in 0...1 { #expect(try world.offered(to: shard) == nil) }
    try world.accept(2, LineageFixture.old)
    for shard in 0...2 { #expect(try world.offered(to: shard)?.id.count == 16) }
    #expect(world.router.core.lineages.sorted.map(\.shard) == ["a", "b", "c"])
  }

  @Test func aShardThatLacksRecordsGetsThem() throws {
    try world.accept(0, nil)
    try world.accept(1, nil)
    try world.accept(2, nil, world.records(LineageFixture.old, of: "c"))
    for shard in 0...1 { #expect(try world.router.sent(to: shard).offer.step == .adopt) }
    for shard in 0...1 { try world.records(world.records(LineageFixture.old, of: "c"), at: shard) }
    for shard in 0...2 { #expect(try !world.router.sent(to: shard).hasOffer) }
  }

  @Test func shardsInMemoryOnlyAreNoReasonToOfferAnything() throws {
    for shard in 0...2 { try world.accept(shard, nil) }
    for shard in 0...2 { #expect(try !world.router.sent(to: shard).hasOffer) }
    #expect(world.router.core.lineages.isEmpty)
  }

  @Test func recordsOfUnlistedShardsAreNotAdopted() throws {
    try world.accept(1, nil, world.records(LineageFixture.old, of: "stranger"))
    #expect(world.router.core.lineages.isEmpty)
  }

  @Test func twoLineagesOnRecordAreADispute() throws {
    try world.accept(1, nil, world.records(LineageFixture.old))
    try world.accept(0, LineageFixture.old, world.records(LineageFixture.old))
    try world.accept(2, nil, world.records(LineageFixture.new))
    #expect(world.isRefused(0))
  }

  @Test func aHelloReplyWithALineageOfAnotherLengthIsMalformed() throws {
    world.router.core.linkConnected(
      shard: 0, lane: .calls, generation: try #require(world.router.driver.connections[0]))
    _ = try world.router.sent(to: 0)
    var reply = Ringstore_Internal_V1_ShardFrame()
    reply.hello.accepted = true
    reply.hello.lineage = .init([1, 2, 3])
    try world.router.receive(reply, from: 0)
    #expect(world.router.driver.connections[0] == nil)
    #expect(world.router.core.unreachableDetail(shard: 0)?.contains("malformed") == true)
  }
}

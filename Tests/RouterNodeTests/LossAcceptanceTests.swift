// An operator accepts that a shard has lost its data.

import NodeCore
import Placement
import ProtobufMessages
import RingstoreAPI
import Testing

@testable import RouterNode

@Suite struct LossAcceptanceTests {
  private let world: LineageFixture

  init() throws {
    world = try LineageFixture()
  }

  @Test(arguments: [LineageFixture.new, nil])
  func aLossIsAcceptedWhenAllOtherShardsHaveItOnRecord(lineage: DataLineage?) throws {
    try world.lose(now: lineage)
    let result = world.acceptLoss()
    for shard in 1...2 { #expect(try world.offered(to: shard)?.acceptedLosses == 1) }
    try world.records(world.records(lineage, losses: 1), at: 1)
    #expect(result() == nil)
    try world.records(world.records(lineage, losses: 1), at: 2)
    let report = try #require(try result()?.get())
    #expect(report.recorded == ["b", "c"] && report.missing.isEmpty)
    #expect(world.router.driver.events.contains(.lossAccepted(shard: "a")))
    world.router.advance(millis: 1)
    try world.accept(0, lineage, world.records(lineage, losses: 1))
    #expect(world.error(0) == nil)
  }

  @Test func anEarlierOfferIsNoConfirmation() throws {
    try world.lose()
    let result = world.acceptLoss()
    for shard in 1...2 { try world.records(world.records(LineageFixture.old), at: shard) }
    #expect(result() == nil)
  }

  @Test func anUnreachableShardIsNamedAndGetsTheRecordWhenItIsBack() throws {
    try world.lose()
    world.router.lose(2)
    let result = world.acceptLoss()
    try world.records(world.records(LineageFixture.new, losses: 1), at: 1)
    let report = try #require(try result()?.get())
    #expect(report.recorded == ["b"] && report.missing == ["c"])
    world.router.advance(millis: 2_000)
    let hello = try world.router.greet(
      2, .calls, lineage: nil, records: world.records(LineageFixture.new, losses: 1))
    #expect(hello.map.shards[0].lineage.acceptedLosses == 1)
  }

  @Test func aShardThatIsLostMeanwhileIsNotWaitedFor() throws {
    try world.lose()
    let result = world.acceptLoss()
    try world.records(world.records(LineageFixture.new, losses: 1), at: 1)
    world.router.lose(2)
    #expect(try result()?.get().missing == ["c"])
  }

  @Test func aShardThatNeverRepliesIsNamedInTheEnd() throws {
    try world.lose()
    let result = world.acceptLoss()
    try world.records(world.records(LineageFixture.new, losses: 1), at: 1)
    world.router.advance(millis: LinkLimits().changeNanosMax / 1_000_000)
    #expect(try result()?.get().missing == ["c"])
  }

  /// Two disks of one machine.
  @Test func whereAllShardsAreLostOneAfterAnotherIsAccepted() throws {
    for shard in 0...2 {
      try world.accept(
        shard, LineageFixture.old,
        world.records(LineageFixture.old, of: world.router.core.shardIDs[shard]))
    }
    for shard in 0...2 { world.router.lose(shard) }
    world.router.advance(millis: 2_000)
    for shard in 0...2 { try world.refuse(shard, LineageFixture.new) }
    #expect(try world.acceptLoss("a")()?.get().missing == ["b", "c"])
    world.router.advance(millis: 2_000)
    try world.accept(0, LineageFixture.new)
    #expect(world.router.core.unreachableDetail(shard: 0) == nil)
    #expect(world.isRefused(1) && world.isRefused(2))
  }

  @Test(arguments: [
    ("a", "has the right data"), ("b", "can't be reached"), ("x", "no shard x"),
  ])
  func whatIsNotRefusedIsNotAccepted(shard: String, words: String) throws {
    try world.accept(0, LineageFixture.old, world.records(LineageFixture.old))
    let result = try #require(world.acceptLoss(shard)())
    guard case .failure(let refusal) = result else {
      Issue.record("it was accepted")
      return
    }
    #expect(refusal.sentence.contains(words))
    #expect(world.router.core.lineages == world.records(LineageFixture.old))
  }

  /// What it has now may be something else than what it was refused for.
  @Test func aShardThatIsLostAfterItsRefusalIsNotAccepted() throws {
    try world.lose()
    world.router.advance(millis: 2_000)
    world.router.lose(0)
    guard case .failure? = world.acceptLoss()() else {
      Issue.record("it was accepted")
      return
    }
  }

  @Test func aLossAcceptedThroughAnotherRouterIsReportedByAShard() throws {
    try world.lose()
    let news = Ringstore_Internal_V1_ShardFrame.with { frame in
      let document = SlotMapMessage.encode(
        world.router.core.map, world.records(LineageFixture.new, losses: 1))
      frame.mapNews.map = (try? .init(serializedBytes: document)) ?? .init()
      frame.mapNews.inForce = true
    }
    try world.router.receive(news, from: 1)
    world.router.advance(millis: 1)
    try world.accept(0, LineageFixture.new, world.records(LineageFixture.new, losses: 1))
    #expect(world.error(0) == nil)
    #expect(try world.offered(to: 2)?.acceptedLosses == 1, "and handed on")
  }

  @Test func aLossAcceptedOnAnotherLoopIsAdopted() throws {
    try world.lose()
    world.router.core.learn(world.records(LineageFixture.new, losses: 1)["a"], of: "a")
    world.router.advance(millis: 1)
    try world.accept(0, LineageFixture.new, world.records(LineageFixture.new, losses: 1))
    #expect(world.error(0) == nil)
  }
}

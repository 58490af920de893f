// A router and shards that don't have the data that they had.

import NodeCore
import Placement
import ProtobufMessages
import RingstoreAPI
import Testing

@testable import RouterNode

@Suite("A router and the shards' lineages")
struct LineageTests {
  private static let old = DataLineage(high: 1, low: 1)
  private static let new = DataLineage(high: 2, low: 2)
  private let router: RouterFixture

  init() throws {
    router = try RouterFixture(shards: ["a", "b", "c"])
  }

  private func records(
    _ lineage: DataLineage?, losses: UInt64 = 0, of shard: String = "a"
  ) -> LineageRecords {
    var records = LineageRecords()
    records[shard] = LineageRecord(
      lineage.map { .known($0) } ?? .none, acceptedLosses: losses)
    return records
  }

  /// A shard accepts both lanes; it tells its lineage and what it has on record.
  private func accept(
    _ shard: Int, _ lineage: DataLineage?, _ records: LineageRecords = LineageRecords(),
    inForce: Bool = true
  ) throws {
    for lane in LinkLane.allCases {
      try router.greet(
        shard, lane, inForce: inForce, lineage: lineage, records: records)
    }
  }

  private func refuse(_ shard: Int, _ lineage: DataLineage?) throws {
    router.core.linkConnected(
      shard: shard, lane: .calls, generation: try #require(router.driver.connections[shard]))
    _ = try router.sent(to: shard)
    var refusal = Ringstore_Internal_V1_ShardFrame()
    refusal.hello.refusal = "DATA_LOST"
    refusal.hello.tell(lineage)
    try router.receive(refusal, from: shard)
  }

  /// A shard has put on record what it was offered.
  private func records(_ records: LineageRecords, at shard: Int) throws {
    var reply = Ringstore_Internal_V1_ShardFrame()
    reply.mapReply.step = .adopt
    reply.mapReply.accepted = true
    reply.mapReply.inForce = true
    reply.mapReply.round = router.core.agreement.round
    reply.mapReply.tell(records)
    try router.receive(reply, from: shard)
  }

  /// The latest record of shard a that an offer to a shard carries.
  private func offered(to shard: Int) throws -> Ringstore_V1_Lineage? {
    let frame = try router.sent(to: shard)
    guard frame.hasOffer else { return nil }
    return frame.offer.map.shards.first { $0.id == "a" }?.lineage
  }

  private func error(_ shard: Int) -> CallError? {
    let caller = Int.random(in: 1...Int.max)
    router.get(router.key(of: shard), caller: caller)
    return router.driver.outcomes[caller]?.error
  }

  private func isRefused(_ shard: Int) -> Bool {
    guard let error = error(shard) else { return false }
    return error.reason == .shardUnavailable && error.message.contains("DATA_LOST")
  }

  private var refusalsTold: Int {
    router.driver.events.count {
      if case .linkRefused(shard: "a", reason: "DATA_LOST", advice: _) = $0 { return true }
      return false
    }
  }

  // MARK: - Who is refused

  @Test func aShardWithTheDataThatAPeerHasOnRecordServes() throws {
    try accept(1, nil, records(Self.old))
    try accept(0, Self.old, records(Self.old))
    #expect(error(0) == nil)
  }

  @Test(arguments: [new, nil])
  func aShardWithOtherDataThanAPeerHasOnRecordIsRefused(lineage: DataLineage?) throws {
    try accept(1, nil, records(Self.old))
    try accept(0, lineage)
    #expect(isRefused(0))
    #expect(error(1) == nil, "the others serve")
    #expect(router.core.unreachableDetail(shard: 0)?.contains("accept-loss") == true)
  }

  /// A router that has just started may greet it before any shard that knows better.
  @Test func aShardThatWasGreetedFirstIsLetGoWhenAPeerKnowsBetter() throws {
    try accept(0, Self.new, inForce: false)
    #expect(router.core.lineages.isEmpty, "what it says of itself is no record")
    try accept(1, nil, records(Self.old))
    #expect(isRefused(0))
    #expect(router.core.lineages == records(Self.old))
  }

  @Test func aShardThatRefusesIsAskedAgainAndTheLogTellsItOnce() throws {
    try accept(1, nil, records(Self.old))
    for _ in 0..<3 {
      try refuse(0, Self.new)
      router.advance(millis: 2_000)
    }
    #expect(isRefused(0))
    #expect(refusalsTold == 1)
  }

  @Test func theOldDirectoryBroughtBackServesAgain() throws {
    try accept(1, nil, records(Self.old))
    try refuse(0, Self.new)
    router.advance(millis: 2_000)
    try accept(0, Self.old, records(Self.old))
    #expect(error(0) == nil)
  }

  @Test func helloTellsAShardWhatIsOnRecord() throws {
    try accept(1, nil, records(Self.old))
    let hello = try router.greet(0, .calls, lineage: Self.old)
    #expect(hello.map.shards[0].lineage.id.count == 16)
    #expect(!hello.map.shards[1].hasLineage)
  }

  // MARK: - What is put on record

  @Test func inANewClusterAllShardsHaveItOnRecordBeforeAnyServes() throws {
    for shard in 0...2 { try accept(shard, shard == 0 ? Self.old : nil, inForce: false) }
    for shard in 0...2 { #expect(try offered(to: shard)?.id.count == 16) }
    #expect(router.core.unreachableDetail(shard: 0) != nil, "not before they have replied")
    for shard in 0...2 { try records(records(Self.old), at: shard) }
    #expect(router.core.unreachableDetail(shard: 0) == nil)
    for shard in 0...2 {
      #expect(try router.sent(to: shard).offer.step != .adopt, "nothing more is to be told")
    }
  }

  /// As where shards of an earlier version were replaced while an older router served.
  @Test func whereAllServeAlreadyItIsPutOnRecordWhenAllAreHeard() throws {
    for shard in 0...1 { try accept(shard, Self.old) }
    for shard in 0...1 { #expect(try offered(to: shard) == nil) }
    try accept(2, Self.old)
    for shard in 0...2 { #expect(try offered(to: shard)?.id.count == 16) }
    #expect(router.core.lineages.sorted.map(\.shard) == ["a", "b", "c"])
  }

  @Test func aShardThatHasHeardLessIsTold() throws {
    try accept(0, nil)
    try accept(1, nil)
    try accept(2, nil, records(Self.old, of: "c"))
    for shard in 0...1 { #expect(try router.sent(to: shard).offer.step == .adopt) }
    for shard in 0...1 { try records(records(Self.old, of: "c"), at: shard) }
    for shard in 0...2 { #expect(try !router.sent(to: shard).hasOffer) }
  }

  @Test func shardsInMemoryOnlyAreNoReasonToOfferAnything() throws {
    for shard in 0...2 { try accept(shard, nil) }
    for shard in 0...2 { #expect(try !router.sent(to: shard).hasOffer) }
    #expect(router.core.lineages.isEmpty)
  }

  @Test func whatIsOnRecordOfAShardThatIsNotListedIsNotTakenOver() throws {
    try accept(1, nil, records(Self.old, of: "stranger"))
    #expect(router.core.lineages.isEmpty)
  }

  @Test func twoLineagesOnRecordAreADispute() throws {
    try accept(1, nil, records(Self.old))
    try accept(0, Self.old, records(Self.old))
    try accept(2, nil, records(Self.new))
    #expect(isRefused(0))
  }

  // MARK: - Accepting

  private func acceptLoss(
    _ shard: String = "a"
  ) -> () -> Result<LossReport, MapChangeRefusal>? {
    final class Box { var result: Result<LossReport, MapChangeRefusal>? }
    let box = Box()
    router.core.acceptLoss(of: shard) { box.result = $0 }
    return { box.result }
  }

  /// Shards b and c have the old data of shard a on record, and a is refused.
  private func lose(now lineage: DataLineage? = new) throws {
    for shard in 1...2 { try accept(shard, nil, records(Self.old)) }
    try refuse(0, lineage)
    for shard in 1...2 { _ = try router.sent(to: shard) }
  }

  @Test(arguments: [new, nil])
  func aLossIsAcceptedWhenAllOtherShardsHaveItOnRecord(lineage: DataLineage?) throws {
    try lose(now: lineage)
    let result = acceptLoss()
    for shard in 1...2 { #expect(try offered(to: shard)?.acceptedLosses == 1) }
    try records(records(lineage, losses: 1), at: 1)
    #expect(result() == nil)
    try records(records(lineage, losses: 1), at: 2)
    let report = try #require(try result()?.get())
    #expect(report.recorded == ["b", "c"] && report.missing.isEmpty)
    #expect(router.driver.events.contains(.lossAccepted(shard: "a")))
    router.advance(millis: 1)
    try accept(0, lineage, records(lineage, losses: 1))
    #expect(error(0) == nil)
  }

  @Test func anOfferThatWasOnItsWayBeforeIsNoAnswer() throws {
    try lose()
    let result = acceptLoss()
    for shard in 1...2 { try records(records(Self.old), at: shard) }
    #expect(result() == nil)
  }

  @Test func aShardThatIsAwayIsNamedAndToldWhenItIsBack() throws {
    try lose()
    router.lose(2)
    let result = acceptLoss()
    try records(records(Self.new, losses: 1), at: 1)
    let report = try #require(try result()?.get())
    #expect(report.recorded == ["b"] && report.missing == ["c"])
    router.advance(millis: 2_000)
    let hello = try router.greet(2, .calls, lineage: nil, records: records(Self.new, losses: 1))
    #expect(hello.map.shards[0].lineage.acceptedLosses == 1)
  }

  @Test func aShardThatIsLostMeanwhileIsNotWaitedFor() throws {
    try lose()
    let result = acceptLoss()
    try records(records(Self.new, losses: 1), at: 1)
    router.lose(2)
    #expect(try result()?.get().missing == ["c"])
  }

  @Test func aShardThatNeverAnswersIsNamedInTheEnd() throws {
    try lose()
    let result = acceptLoss()
    try records(records(Self.new, losses: 1), at: 1)
    router.advance(millis: LinkLimits().changeNanosMax / 1_000_000)
    #expect(try result()?.get().missing == ["c"])
  }

  /// Two disks of one machine.
  @Test func whereAllShardsAreLostOneAfterAnotherIsAccepted() throws {
    for shard in 0...2 {
      try accept(shard, Self.old, records(Self.old, of: router.core.shardIDs[shard]))
    }
    for shard in 0...2 { router.lose(shard) }
    router.advance(millis: 2_000)
    for shard in 0...2 { try refuse(shard, Self.new) }
    #expect(try acceptLoss("a")()?.get().missing == ["b", "c"])
    router.advance(millis: 2_000)
    try accept(0, Self.new)
    #expect(router.core.unreachableDetail(shard: 0) == nil)
    #expect(isRefused(1) && isRefused(2))
  }

  @Test(arguments: [
    ("a", "has the data that it is to have"), ("b", "can't be asked"), ("x", "no shard x"),
  ])
  func whatIsNotRefusedIsNotAccepted(shard: String, words: String) throws {
    try accept(0, Self.old, records(Self.old))
    let result = try #require(acceptLoss(shard)())
    guard case .failure(let refusal) = result else {
      Issue.record("it was accepted")
      return
    }
    #expect(refusal.sentence.contains(words))
    #expect(router.core.lineages == records(Self.old))
  }

  /// What it has now may be something else than what it was refused for.
  @Test func aShardThatWentAwayAfterItWasRefusedIsNotAccepted() throws {
    try lose()
    router.advance(millis: 2_000)
    router.lose(0)
    guard case .failure? = acceptLoss()() else {
      Issue.record("it was accepted")
      return
    }
  }

  @Test func aLossAcceptedThroughAnotherRouterIsHeardOfFromAShard() throws {
    try lose()
    let news = Ringstore_Internal_V1_ShardFrame.with { frame in
      let document = SlotMapMessage.encode(router.core.map, records(Self.new, losses: 1))
      frame.mapNews.map = (try? .init(serializedBytes: document)) ?? .init()
      frame.mapNews.inForce = true
    }
    try router.receive(news, from: 1)
    router.advance(millis: 1)
    try accept(0, Self.new, records(Self.new, losses: 1))
    #expect(error(0) == nil)
    #expect(try offered(to: 2)?.acceptedLosses == 1, "and handed on")
  }

  @Test func aLossAcceptedOnAnotherLoopIsTakenOver() throws {
    try lose()
    router.core.learn(records(Self.new, losses: 1)["a"], of: "a")
    router.advance(millis: 1)
    try accept(0, Self.new, records(Self.new, losses: 1))
    #expect(error(0) == nil)
  }

  @Test func aHelloReplyWithALineageOfAnotherLengthIsMalformed() throws {
    router.core.linkConnected(
      shard: 0, lane: .calls, generation: try #require(router.driver.connections[0]))
    _ = try router.sent(to: 0)
    var reply = Ringstore_Internal_V1_ShardFrame()
    reply.hello.accepted = true
    reply.hello.lineage = .init([1, 2, 3])
    try router.receive(reply, from: 0)
    #expect(router.driver.connections[0] == nil)
    #expect(router.core.unreachableDetail(shard: 0)?.contains("malformed") == true)
  }
}

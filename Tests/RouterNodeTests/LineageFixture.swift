// A router and shards a, b and c that tell lineages, for tests.

import NodeCore
import Placement
import ProtobufMessages
import RingstoreAPI
import Testing

@testable import RouterNode

struct LineageFixture {
  static let old = DataLineage(high: 1, low: 1)
  static let new = DataLineage(high: 2, low: 2)
  let router: RouterFixture

  init() throws {
    router = try RouterFixture(shards: ["a", "b", "c"])
  }

  func records(
    _ lineage: DataLineage?, losses: UInt64 = 0, of shard: String = "a"
  ) -> LineageRecords {
    var records = LineageRecords()
    records[shard] = LineageRecord(
      lineage.map { .known($0) } ?? .none, acceptedLosses: losses)
    return records
  }

  /// A shard accepts both lanes; it tells its lineage and what it has on record.
  func accept(
    _ shard: Int, _ lineage: DataLineage?, _ records: LineageRecords = LineageRecords(),
    inForce: Bool = true
  ) throws {
    for lane in LinkLane.allCases {
      try router.greet(
        shard, lane, inForce: inForce, lineage: lineage, records: records)
    }
  }

  func refuse(_ shard: Int, _ lineage: DataLineage?) throws {
    router.core.linkConnected(
      shard: shard, lane: .calls, generation: try #require(router.driver.connections[shard]))
    _ = try router.sent(to: shard)
    var refusal = Ringstore_Internal_V1_ShardFrame()
    refusal.hello.refusal = "DATA_LOST"
    refusal.hello.tell(lineage)
    try router.receive(refusal, from: shard)
  }

  /// A shard has put on record what it was offered.
  func records(_ records: LineageRecords, at shard: Int) throws {
    var reply = Ringstore_Internal_V1_ShardFrame()
    reply.mapReply.step = .adopt
    reply.mapReply.accepted = true
    reply.mapReply.inForce = true
    reply.mapReply.round = router.core.agreement.round
    reply.mapReply.tell(records)
    try router.receive(reply, from: shard)
  }

  /// The latest record of shard a that an offer to a shard carries.
  func offered(to shard: Int) throws -> Ringstore_V1_Lineage? {
    let frame = try router.sent(to: shard)
    guard frame.hasOffer else { return nil }
    return frame.offer.map.shards.first { $0.id == "a" }?.lineage
  }

  func error(_ shard: Int) -> CallError? {
    let caller = Int.random(in: 1...Int.max)
    router.get(router.key(of: shard), caller: caller)
    return router.driver.outcomes[caller]?.error
  }

  func isRefused(_ shard: Int) -> Bool {
    guard let error = error(shard) else { return false }
    return error.reason == .shardUnavailable && error.message.contains("DATA_LOST")
  }

  var refusalsTold: Int {
    router.driver.events.count {
      if case .linkRefused(shard: "a", reason: "DATA_LOST", advice: _) = $0 { return true }
      return false
    }
  }

  func acceptLoss(
    _ shard: String = "a"
  ) -> () -> Result<LossReport, MapChangeRefusal>? {
    final class Box { var result: Result<LossReport, MapChangeRefusal>? }
    let box = Box()
    router.core.acceptLoss(of: shard) { box.result = $0 }
    return { box.result }
  }

  /// Shards b and c have the old data of shard a on record, and a is refused.
  func lose(now lineage: DataLineage? = new) throws {
    for shard in 1...2 { try accept(shard, nil, records(Self.old)) }
    try refuse(0, lineage)
    for shard in 1...2 { _ = try router.sent(to: shard) }
  }
}

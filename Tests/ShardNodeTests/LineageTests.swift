// A shard whose data is not what the cluster has on record of it serves nothing.

import Commands
import GRPC
import Log
import NIOCore
import NodeCore
import Placement
import ProtobufMessages
import RingstoreAPI
import Testing

@testable import ShardNode

@Suite struct LineageTests {
  private static let own = DataLineage(high: 1, low: 1)
  private static let other = DataLineage(high: 2, low: 2)

  private func hello(_ record: Ringstore_V1_Lineage?) throws -> Ringstore_Internal_V1_Hello {
    var hello = try Link.hello()
    if let record { hello.map.shards[0].lineage = record }
    return hello
  }

  private func record(
    _ lineage: DataLineage?, losses: UInt64 = 0
  ) throws -> Ringstore_V1_Lineage {
    var records = LineageRecords()
    records["a"] = LineageRecord(lineage.map { .known($0) } ?? .none, acceptedLosses: losses)
    let document = SlotMapMessage.encode(try Maps.of(["a"]), records)
    return try Ringstore_V1_SlotMap(serializedBytes: document).shards[0].lineage
  }

  /// What the shard replies to a Hello of a router with this on record.
  private func greet(
    _ core: ShardCore, _ record: Ringstore_V1_Lineage?
  ) throws -> Ringstore_Internal_V1_HelloReply {
    let lane = Lane(.calls, core)
    _ = try lane.greet(try hello(record))
    return try #require(lane.hello)
  }

  private func shard(_ lineage: DataLineage? = own) -> ShardFixture {
    let shard = ShardFixture()
    shard.core.lineage = lineage
    return shard
  }

  @Test func itTellsTheLineageOfItsData() throws {
    let reply = try greet(shard().core, nil)
    #expect(reply.accepted)
    #expect(reply.lineage == (try record(Self.own)).id && reply.lineage.count == 16)
    #expect(try greet(shard(nil).core, nil).lineage.isEmpty, "it is in memory only")
  }

  @Test func itIsNoRecordWhatAShardSaysOfItself() throws {
    #expect(try greet(shard().core, nil).lineages.isEmpty)
  }

  @Test func whatARouterHasOnRecordIsTakenOverAndReported() throws {
    let shard = shard()
    let reply = try greet(shard.core, try record(Self.own))
    #expect(reply.accepted && reply.lineages.map(\.shard) == ["a"])
    #expect(shard.core.lineages.admits("a", Self.own))
    #expect(!shard.core.lineages.admits("a", Self.other))
  }

  @Test(arguments: [own, nil])
  func whereSomethingElseIsOnRecordItRefuses(lineage: DataLineage?) throws {
    let shard = shard(lineage)
    let reply = try greet(shard.core, try record(Self.other))
    #expect(!reply.accepted && reply.refusal == "DATA_LOST")
    #expect(reply.lineage == (try record(lineage)).id, "the router learns what it has")
    #expect(shard.core.lineages.isEmpty && shard.core.ownership.map == nil, "nothing has changed")
  }

  @Test func itServesNoKeyToItsOwnClientsThen() throws {
    let shard = shard()
    try shard.set("k", "v")
    _ = try greet(shard.core, try record(Self.other))
    for failure in [
      shard.failure(.get, Requests.key("k")), shard.failure(.set, Requests.set("k", "w")),
    ] {
      #expect(failure?.reason == .shardUnavailable)
      #expect(failure?.message.contains("DATA_LOST") == true)
    }
    let node = shard.core.describe()
    #expect(node.state == .notServing && node.detail.contains("accept-loss"))
    var response = ByteBuffer()
    let method = InternalMethod.describePart.rawValue
    try shard.execute(method, Ringstore_V1_DescribeRequest(), into: &response)
    #expect(response.readableBytes > 0)
  }

  @Test func aShardWithoutARouterServes() throws {
    let shard = shard()
    try shard.set("k", "v")
    #expect(try shard.get("k").found)
  }

  @Test func itServesAgainWhenTheLossWasAccepted() throws {
    let shard = shard()
    _ = try greet(shard.core, try record(Self.other))
    #expect(try greet(shard.core, try record(Self.own, losses: 1)).accepted)
    #expect(shard.core.state == .serving && shard.core.detail.isEmpty)
  }

  /// As when the loss was accepted through another router.
  @Test func whatItHasOnRecordItselfCountsWhereItIsNewer() throws {
    let shard = shard()
    _ = try greet(shard.core, try record(Self.own, losses: 1))
    let reply = try greet(shard.core, try record(Self.other))
    #expect(reply.refusal != "DATA_LOST")
    #expect(shard.core.lineages["a"].acceptedLosses == 1)
  }

  @Test func anOfferWithAnotherLineageOnRecordIsRefused() throws {
    let shard = shard()
    let link = try Link(to: shard)
    var offer = Ringstore_Internal_V1_MapOffer()
    offer.step = .adopt
    offer.map = try hello(try record(Self.other)).map
    link.calls.give { $0.offer(offer) }
    #expect(link.calls.mapReplies.last?.refusal == "DATA_LOST")
    #expect(shard.core.state == .notServing)
  }

  @Test func aRecordIsDurableBeforeItIsReportedAndOtherRoutersHearOfIt() throws {
    let logging = LoggingShard()
    logging.shard.core.lineage = Self.own
    let first = Lane(.calls, logging.shard.core)
    _ = try first.greet(try hello(nil))
    logging.commit()
    let second = Lane(.calls, logging.shard.core)
    var other = try hello(try record(Self.own))
    other.router = "s/0"
    _ = try second.greet(other.sealed(by: .publicSeed))
    logging.tick()
    #expect(second.hello == nil && first.news.isEmpty)
    logging.commit()
    #expect(second.hello?.lineages.map(\.shard) == ["a"])
    #expect(first.news.map { $0.map.shards[0].lineage } == [try record(Self.own)])
    #expect(try logging.slotMapOnDisk().shards[0].lineage == (try record(Self.own)))
  }

  @Test func whatIsKnownAlreadyIsNotWrittenAgain() throws {
    let logging = LoggingShard()
    logging.shard.core.lineage = Self.own
    _ = try Lane(.calls, logging.shard.core).greet(try hello(try record(Self.own)))
    #expect(logging.log.isStatePending)
    logging.commit()
    let written = logging.disk.file.count
    _ = try greet(logging.shard.core, try record(Self.own))
    logging.commit()
    #expect(logging.disk.file.count == written)
  }
}

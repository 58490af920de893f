// No key has a version twice, also not in a slot that another shard had before.

import Commands
import Log
import LogFiles
import NodeCore
import Placement
import ProtobufMessages
import RingstoreAPI
import Store
import Testing

@testable import ShardNode

@Suite struct TakenVersionsTests {
  /// A connection whose Hello was accepted; the map isn't in force yet.
  private func greeted(_ shard: ShardFixture, generation: UInt64 = 1) throws -> Lane {
    let lane = Lane(.calls, shard.core)
    _ = try lane.greet(try Link.hello(generation: generation))
    return lane
  }

  /// Versions of a shard whose clock is an hour ahead.
  private func ahead(of shard: ShardFixture) -> UInt64 {
    Store.versionsBegin(unixMillis: shard.clock.wallMillis + 3_600_000)
  }

  private func ceilingOnDisk(_ logging: LoggingShard) throws -> UInt64 {
    var newest: UInt64 = 0
    _ = try logging.replayed { if case .versionCeiling(let ceiling) = $0 { newest = ceiling } }
    return newest
  }

  @Test func theyCountOnFromWhatOthersHaveGiven() throws {
    let shard = ShardFixture()
    let told = ahead(of: shard)
    try greeted(shard).saysInForce(try Maps.of(["a"]), versionsBelow: told)
    #expect(try shard.set("k", "v").version == told + 1)
  }

  @Test func aShardTellsBelowWhatItsVersionsLie() throws {
    let shard = ShardFixture()
    let version = try shard.set("k", "v").version
    let lane = try greeted(shard)
    #expect(try #require(lane.hello).versionsBelow > version)
    var offer = Ringstore_Internal_V1_MapOffer()
    offer.step = .adopt
    offer.map = try Maps.of(["a"]).message
    lane.give { $0.offer(offer) }
    #expect(try #require(lane.mapReplies.last).versionsBelow > version)
  }

  @Test func whatItHasHeardItReportsToOthers() throws {
    let shard = ShardFixture()
    let told = ahead(of: shard)
    let other = Lane(.calls, shard.core)
    _ = try other.greet(try Link.hello(router: "s/0"))
    try greeted(shard).saysInForce(try Maps.of(["a"]), versionsBelow: told)
    #expect(try #require(other.news.last).versionsBelow >= told)
    #expect(try #require(greeted(shard, generation: 2).hello).versionsBelow >= told)
  }

  @Test func aShardWithALogTellsTheCeiling() throws {
    let logging = LoggingShard()
    let lane = try greeted(logging.shard)
    logging.commit()
    lane.saysInForce(try Maps.of(["a"]))
    let version = try logging.shard.set("k", "v").version
    #expect(try #require(lane.hello).versionsBelow > version)
  }

  @Test func versionsAtTheEndOfTimeAreNotBelieved() throws {
    let shard = ShardFixture()
    try greeted(shard).saysInForce(try Maps.of(["a"]), versionsBelow: .max)
    let years = Int64(11) * 365 * 86_400_000
    let version = try shard.set("k", "v").version
    #expect(version < Store.versionsBegin(unixMillis: shard.clock.wallMillis + years))
    #expect(try shard.set("k", "w").version == version + 1)
  }

  /// With the power the ceiling would go that isn't synced, and the versions given below it.
  @Test(arguments: FsyncPolicy.allCases)
  func theCeilingIsDurableBeforeTheFirstIsGiven(policy: FsyncPolicy) throws {
    let logging = LoggingShard(policy)
    let lane = try greeted(logging.shard)
    logging.commit()
    let told = ahead(of: logging.shard)
    lane.saysInForce(try Maps.of(["a"]), versionsBelow: told)
    lane.give { $0.call(1, .set, Requests.set("k", "v")) }
    logging.commit(syncing: false)
    #expect(lane.take().isEmpty && logging.shard.core.keyCount == 0)
    #expect(logging.shard.failure(.get, Requests.key("k"))?.reason == .wrongShard)
    logging.disk.sync()
    logging.log.takeEvents()
    #expect(try ceilingOnDisk(logging) > told)
    lane.drained()
    logging.commit()
    #expect(lane.take().map(\.code) == [0])
    #expect(try logging.shard.get("k").version == told + 1)
  }

  @Test func aMapThatWasFollowedByAnotherMeanwhileIsNotServed() throws {
    let logging = LoggingShard()
    let lane = try greeted(logging.shard)
    logging.commit()
    let told = ahead(of: logging.shard)
    lane.saysInForce(try Maps.of(["a"]), versionsBelow: told)
    var offer = Ringstore_Internal_V1_MapOffer()
    offer.step = .adopt
    offer.map = try Maps.of(["a"], epoch: 2).message
    lane.give { $0.offer(offer) }
    logging.commit()
    #expect(logging.shard.failure(.get, Requests.key("k"))?.reason == .wrongShard)
    lane.saysInForce(try Maps.of(["a"], epoch: 2), versionsBelow: told)
    #expect(logging.shard.failure(.get, Requests.key("k")) == nil)
  }
}

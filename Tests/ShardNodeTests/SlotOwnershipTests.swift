// Which slot maps a shard takes and which it refuses.

import Commands
import Placement
import RingstoreAPI
import Testing

@testable import ShardNode

@Suite("Whose map a shard believes")
struct SlotOwnershipTests {
  @Test func aLoneShardServesEverySlot() {
    let ownership = SlotOwnership(cluster: "test", shard: "a")
    #expect((0..<Slots.count).allSatisfy { ownership.owns(slot: $0) })
  }

  @Test func theFirstMapIsAdopted() throws {
    var ownership = SlotOwnership(cluster: "test", shard: "a")
    let map = try Maps.of(["a", "b"])
    #expect(try offer(map, to: &ownership))
    let owned = (0..<Slots.count).filter { ownership.owns(slot: $0) }.count
    #expect(owned == map.slotCounts[0])
    #expect(try !offer(map, to: &ownership), "the same map again is nothing new")
  }

  @Test func anotherClusterOrShardIsRefused() throws {
    var ownership = SlotOwnership(cluster: "test", shard: "a")
    let map = try Maps.of(["a", "b"])
    #expect(throws: LinkRefusal.wrongCluster) {
      try ownership.consider(
        cluster: "other", expectedShard: "a", map: map, holdsKeys: { _ in false })
    }
    #expect(throws: LinkRefusal.wrongShard) {
      try ownership.consider(
        cluster: "test", expectedShard: "b", map: map, holdsKeys: { _ in false })
    }
    let without = try Maps.of(["b", "c"])
    #expect(throws: LinkRefusal.wrongShard) { try offer(without, to: &ownership) }
  }

  @Test func anOlderMapIsStale() throws {
    var ownership = SlotOwnership(cluster: "test", shard: "a")
    _ = try offer(try Maps.of(["a", "b"], epoch: 2), to: &ownership)
    #expect(throws: LinkRefusal.staleMap) {
      try offer(try Maps.of(["a", "b"], epoch: 1), to: &ownership)
    }
  }

  @Test func theSameEpochWithOtherContentIsAConflict() throws {
    var ownership = SlotOwnership(cluster: "test", shard: "a")
    _ = try offer(try Maps.of(["a", "b"]), to: &ownership)
    #expect(throws: LinkRefusal.mapConflict) {
      try offer(try Maps.of(["a", "b", "c"]), to: &ownership)
    }
  }

  @Test func aFreeShardTakesAnotherMapOfTheSameEpoch() throws {
    var ownership = SlotOwnership(cluster: "test", shard: "a")
    _ = try offer(try Maps.of(["a", "b"], epoch: 2), to: &ownership)
    let other = try Maps.of(["a", "b", "c"], epoch: 2)
    #expect(throws: LinkRefusal.mapConflict) { try offer(other, to: &ownership) }
    #expect(try offer(other, to: &ownership, isFree: true))
    #expect(ownership.map?.sameContent(as: other) == true)
    let older = try Maps.of(["a", "b"], epoch: 1)
    #expect(throws: LinkRefusal.staleMap) { try offer(older, to: &ownership, isFree: true) }
  }

  @Test func aMapThatGivesAwayHeldKeysIsAConflict() throws {
    let map = try Maps.of(["a", "b"])
    let foreign = try #require(
      (0..<Slots.count).first { map.shards[map.owner(ofSlot: $0)].id == "b" })
    let own = try #require((0..<Slots.count).first { map.shards[map.owner(ofSlot: $0)].id == "a" })
    var ownership = SlotOwnership(cluster: "test", shard: "a")
    #expect(throws: LinkRefusal.mapConflict) {
      try offer(map, to: &ownership, holdingKeysOf: foreign)
    }
    #expect(ownership.map == nil)
    #expect(try offer(map, to: &ownership, holdingKeysOf: own))
  }

  private func offer(
    _ map: SlotMap, to ownership: inout SlotOwnership, holdingKeysOf slot: Int? = nil,
    isFree: Bool = false
  ) throws -> Bool {
    try ownership.consider(
      cluster: "test", expectedShard: "a", map: map, isFree: { isFree },
      holdsKeys: { $0 == slot })
  }
}

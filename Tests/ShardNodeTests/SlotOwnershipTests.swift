// Which slot maps a shard takes and which it refuses.

import Commands
import Placement
import RingstoreAPI
import Testing

@testable import ShardNode

@Suite struct SlotOwnershipTests {
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
    #expect(throws: LinkRefusal.wrongCluster) {
      try ownership.checkMeant(cluster: "other", expectedShard: "a")
    }
    #expect(throws: LinkRefusal.wrongShard) {
      try ownership.checkMeant(cluster: "test", expectedShard: "b")
    }
    let without = try Maps.of(["b", "c"])
    #expect(throws: MapRefusal(.wrongShard)) { try offer(without, to: &ownership) }
    #expect(ownership.map == nil)
  }

  @Test func anOlderMapIsStale() throws {
    var ownership = SlotOwnership(cluster: "test", shard: "a")
    _ = try offer(try Maps.of(["a", "b"], epoch: 2), to: &ownership)
    #expect(throws: MapRefusal(.staleMap)) {
      try offer(try Maps.of(["a", "b"], epoch: 1), to: &ownership)
    }
  }

  @Test func theSameEpochWithOtherContentIsAConflict() throws {
    var ownership = SlotOwnership(cluster: "test", shard: "a")
    _ = try offer(try Maps.of(["a", "b"]), to: &ownership)
    #expect(throws: MapRefusal(.mapConflict)) {
      try offer(try Maps.of(["a", "b", "c"]), to: &ownership)
    }
  }

  @Test func aFreeShardTakesAnotherMapOfTheSameEpoch() throws {
    var ownership = SlotOwnership(cluster: "test", shard: "a")
    _ = try offer(try Maps.of(["a", "b"], epoch: 2), to: &ownership)
    let other = try Maps.of(["a", "b", "c"], epoch: 2)
    #expect(throws: MapRefusal(.mapConflict)) { try offer(other, to: &ownership) }
    #expect(try offer(other, to: &ownership, isFree: true))
    #expect(ownership.map?.sameContent(as: other) == true)
    let older = try Maps.of(["a", "b"], epoch: 1)
    #expect(throws: MapRefusal(.staleMap)) { try offer(older, to: &ownership, isFree: true) }
  }

  /// As after a restart of a shard that keeps its data.
  @Test func aMapThatWasKeptIsHeldAgainstOthersAndServedOnceItIsInForceAgain() throws {
    let map = try Maps.of(["a", "b"], epoch: 2)
    let own = try #require((0..<Slots.count).first { map.ownerID(ofSlot: $0) == "a" })
    var ownership = SlotOwnership(cluster: "test", shard: "a")
    ownership.restore(map)
    #expect(!ownership.owns(slot: own), "a newer map may be in force")
    let other = try Maps.of(["a", "b", "c"], epoch: 2)
    #expect(throws: MapRefusal(.mapConflict)) { try offer(other, to: &ownership) }
    let older = try Maps.of(["a", "b"], epoch: 1)
    #expect(throws: MapRefusal(.staleMap)) { try offer(older, to: &ownership) }
    #expect(!ownership.comeIntoForce(other) && ownership.comeIntoForce(map))
    #expect(ownership.owns(slot: own))
  }

  @Test func aMapThatGivesAwayHeldKeysIsAConflict() throws {
    let map = try Maps.of(["a", "b"])
    let foreign = try #require(
      (0..<Slots.count).first { map.shards[map.owner(ofSlot: $0)].id == "b" })
    let own = try #require((0..<Slots.count).first { map.shards[map.owner(ofSlot: $0)].id == "a" })
    var ownership = SlotOwnership(cluster: "test", shard: "a")
    let refusal = #expect(throws: MapRefusal.self) {
      try offer(map, to: &ownership, holdingKeysOf: foreign)
    }
    #expect(refusal?.reason == .mapConflict)
    #expect(
      refusal?.detail == "it holds 3 keys of 1 slot that would move to b: \(foreign)")
    #expect(ownership.map == nil)
    #expect(try offer(map, to: &ownership, holdingKeysOf: own))
  }

  // MARK: - Slots that change hands

  /// Two maps of two epochs, and a slot that goes from one shard to the other.
  private func change() throws -> (before: SlotMap, after: SlotMap, leaving: Int, arriving: Int) {
    let before = try Maps.of(["a", "b"])
    let swapped = before.ranges.map {
      SlotRange(first: $0.first, last: $0.last, shard: 1 - $0.shard)
    }
    let after = try SlotMap(epoch: 2, shards: before.shards, ranges: swapped)
    return (
      before, after, try #require((0..<Slots.count).first { before.ownerID(ofSlot: $0) == "a" }),
      try #require((0..<Slots.count).first { before.ownerID(ofSlot: $0) == "b" })
    )
  }

  @Test func aSlotThatLeavesIsNotServedAndOneThatArrivesOnlyWhenTheMapIsInForce() throws {
    let (before, after, leaving, arriving) = try change()
    var ownership = SlotOwnership(cluster: "test", shard: "a")
    _ = try offer(before, to: &ownership)
    _ = try offer(after, to: &ownership, isInForce: false)
    #expect(ownership.states[leaving] == .leaving && ownership.states[arriving] == .arriving)
    #expect(!ownership.owns(slot: leaving) && !ownership.owns(slot: arriving))
    #expect(ownership.refusal(ofSlot: arriving).retryDelayMillis != nil)
    let ofAnother = ownership.comeIntoForce(before)
    let ofTheShards = ownership.comeIntoForce(after)
    #expect(!ofAnother && ofTheShards)
    #expect(ownership.states[leaving] == .elsewhere && ownership.states[arriving] == .owned)
    let again = ownership.comeIntoForce(after)
    #expect(!again, "it is no news")
  }

  @Test func whatAMapTakesAwayComesBackByAnotherThatIsInForce() throws {
    let (before, after, leaving, arriving) = try change()
    var ownership = SlotOwnership(cluster: "test", shard: "a")
    _ = try offer(before, to: &ownership)
    _ = try offer(after, to: &ownership, isInForce: false)
    let restored = try #require(before.restored(after: after))
    #expect(restored.epoch == 3 && restored.sameContent(as: before))
    _ = try offer(restored, to: &ownership, isInForce: false)
    #expect(ownership.states[leaving] == .arriving, "others may have served it meanwhile")
    #expect(ownership.states[arriving] == .elsewhere)
    let isNews = ownership.comeIntoForce(restored)
    #expect(isNews)
    #expect(ownership.owns(slot: leaving))
  }

  @Test func whatAShardKeepsIsServedAllTheTime() throws {
    var ownership = SlotOwnership(cluster: "test", shard: "a")
    let before = try Maps.of(["a", "b"])
    _ = try offer(before, to: &ownership)
    let after = try before.rebalanced(to: before.shards + [Maps.shard("c")])
    _ = try offer(after, to: &ownership, isInForce: false)
    let kept = (0..<Slots.count).filter { after.ownerID(ofSlot: $0) == "a" }
    #expect(!kept.isEmpty && kept.allSatisfy { ownership.owns(slot: $0) })
  }

  @Test func aNewcomerOwnsNothingUntilItsFirstMapIsInForce() throws {
    var ownership = SlotOwnership(cluster: "test", shard: "c")
    let before = try Maps.of(["a", "b"])
    let after = try before.rebalanced(to: before.shards + [Maps.shard("c")])
    _ = try offer(after, to: &ownership, isInForce: false)
    #expect(ownership.states.owned.isEmpty)
    _ = try offer(after, to: &ownership)
    #expect(ownership.states.owned.count == after.slotCounts[try #require(after.place(of: "c"))])
  }

  // MARK: - What may come into force

  /// Another router may have made a change of its own since, and the map is then not the one in
  /// force.
  @Test func aFirstMapIsNotServedBeforeTheShardIsInformedThatItIsInForce() throws {
    var ownership = SlotOwnership(cluster: "test", shard: "a")
    _ = try offer(try Maps.of(["a", "b"]), to: &ownership, isInForce: false, inForceEpoch: 1)
    #expect(!ownership.isInForce && ownership.states.owned.isEmpty)
  }

  @Test func anotherMapOfTheSameEpochDoesNotComeIntoForce() throws {
    var ownership = SlotOwnership(cluster: "test", shard: "a")
    _ = try offer(try Maps.of(["a", "b"]), to: &ownership, isInForce: false)
    let isNews = ownership.comeIntoForce(try Maps.of(["a", "c"]))
    #expect(!isNews && ownership.states.owned.isEmpty)
  }

  /// Shard c may own slots by the map with it, if that has come into force unheard.
  @Test func aMapThatIsNotInForceIsFollowedByOneThatListsAllItsShards() throws {
    var ownership = SlotOwnership(cluster: "test", shard: "a")
    let before = try Maps.of(["a", "b"])
    _ = try offer(before, to: &ownership)
    _ = try offer(try Maps.of(["a", "b", "c"], epoch: 2), to: &ownership, isInForce: false)
    let without = try Maps.of(["a", "b"], epoch: 3)
    #expect(throws: MapRefusal(.mapConflict)) { try offer(without, to: &ownership) }
    let isOfAnEarlierMap = UInt64(1)
    #expect(throws: MapRefusal(.mapConflict)) {
      try offer(without, to: &ownership, inForceEpoch: isOfAnEarlierMap)
    }
    let with = try #require(
      before.restored(after: without, listing: [try Maps.of(["a", "b", "c"])]))
    #expect(try offer(with, to: &ownership))
    #expect(try offer(try Maps.of(["a", "b"], epoch: 5), to: &ownership), "c owns nothing now")
  }

  /// The shard may not serve by it yet, because its ceiling of versions isn't durable.
  @Test func aMapThatIsReportedInForceIsFollowedByOneWithoutShardsThatOwnNothing() throws {
    var ownership = SlotOwnership(cluster: "test", shard: "a")
    let all = try Maps.of(["a", "b", "c"])
    let reported = try #require(
      try Maps.of(["a", "b"]).restored(after: try Maps.of(["a", "b"], epoch: 2), listing: [all]))
    let without = try Maps.of(["a", "b"], epoch: 5)
    _ = try offer(reported, to: &ownership, isInForce: false)
    #expect(throws: MapRefusal(.mapConflict)) { try offer(without, to: &ownership) }
    ownership.heardInForce(all)
    #expect(throws: MapRefusal(.mapConflict)) { try offer(without, to: &ownership) }
    ownership.heardInForce(reported)
    #expect(!ownership.isInForce && ownership.states.owned.isEmpty)
    #expect(try offer(without, to: &ownership, isInForce: false))
    #expect(throws: MapRefusal(.mapConflict), "that is about the map before") {
      try offer(try Maps.of(["a", "d"], epoch: 6), to: &ownership)
    }
  }

  @Test func aMapInForceIsFollowedByOneThatListsItsOwners() throws {
    var ownership = SlotOwnership(cluster: "test", shard: "a")
    _ = try offer(try Maps.of(["a", "b"]), to: &ownership)
    let without = try Maps.of(["a", "c"], epoch: 2)
    #expect(throws: MapRefusal(.mapConflict)) { try offer(without, to: &ownership) }
    // One that a newer map in force has left behind knows nothing of owners.
    let later = try Maps.of(["a", "c"], epoch: 4)
    #expect(try offer(later, to: &ownership, inForceEpoch: 3))
  }

  /// A shard that was restarted may meet a router with another list first.
  @Test func aMapInForceIsTakenForOneOfTheSameEpochThatIsNot() throws {
    var ownership = SlotOwnership(cluster: "test", shard: "a")
    _ = try offer(try Maps.of(["a", "c"]), to: &ownership, isInForce: false)
    let map = try Maps.of(["a", "b"])
    #expect(throws: MapRefusal(.mapConflict)) { try offer(map, to: &ownership) }
    #expect(try offer(map, to: &ownership, inForceEpoch: 1))
    #expect(throws: MapRefusal(.mapConflict)) {
      try offer(try Maps.of(["a", "c"]), to: &ownership, inForceEpoch: 1)
    }
  }

  @Test func lookingAtAMapChangesNothing() throws {
    let (before, after, leaving, _) = try change()
    var ownership = SlotOwnership(cluster: "test", shard: "a")
    _ = try offer(before, to: &ownership)
    #expect(try ownership.check(after, keyCount: { _ in 0 }))
    #expect(ownership.map == before && ownership.owns(slot: leaving))
    #expect(throws: MapRefusal.self) {
      try ownership.check(after, keyCount: { $0 == leaving ? 1 : 0 })
    }
  }

  /// - Parameters:
  ///   - isInForce: whether the shard is then notified that the map is in force.
  ///   - inForceEpoch: of the map that the router knows to be.
  private func offer(
    _ map: SlotMap, to ownership: inout SlotOwnership, holdingKeysOf slot: Int? = nil,
    isFree: Bool = false, isInForce: Bool = true, inForceEpoch: UInt64 = 0
  ) throws -> Bool {
    let isNew = try ownership.adopt(
      map, inForceEpoch: inForceEpoch, isFree: { isFree }, keyCount: { $0 == slot ? 3 : 0 })
    if isInForce { _ = ownership.comeIntoForce(map) }
    return isNew
  }
}

// The next map: who may give, who may take, and that no more moves than must.

import Placement
import TestSeeds
import Testing

@Suite struct RebalanceTests {
  @Test(arguments: [1, 2, 3, 4, 7, 16, 31, 63])
  func aNewcomerTakesItsShareAndOnlyFromShardsAboveTheirs(count: Int) throws {
    let before = try SlotMap.initial(shards(count))
    let list = shards(count + 1)
    let newcomer = list[count].id
    let after = try before.rebalanced(to: list)
    let share = 16384 / (count + 1)

    let moves = before.moves(to: after)
    #expect(after.epoch == 2)
    #expect(moves.allSatisfy { $0.to == newcomer })
    #expect(after.count(of: newcomer) == moves.count)
    for id in Set(moves.map(\.from)) { #expect(before.count(of: id) > share) }
    for index in after.shards.indices { #expect(after.slotCounts[index] <= cap(list, 0)) }

    // No more than its whole share, or what takes the others down to their caps if that is more.
    let forced = before.slotCounts.reduce(0) { $0 + max(0, $1 - cap(list, 0)) }
    #expect(moves.count == max(share, forced))
  }

  @Test(arguments: [2, 3, 4, 7, 16, 31, 64])
  func whenAShardLeavesOnlyItsSlotsMove(count: Int) throws {
    let before = try SlotMap.initial(shards(count))
    let leaver = "shard-\(count / 2 + 1)"
    let list = shards(count).filter { $0.id != leaver }
    let after = try before.rebalanced(to: list)

    let moves = before.moves(to: after)
    #expect(moves.allSatisfy { $0.from == leaver })
    #expect(moves.count == before.count(of: leaver))
    // The neediest is served first, so no shard ends above its fair share.
    for owned in after.slotCounts { #expect(Double(owned) < fairShare(list, 0) + 1) }
  }

  @Test func aReplacedShardHandsItsSlotsToItsSuccessor() throws {
    let before = try SlotMap.initial(shards(5))
    var list = shards(5)
    list[2].id = "successor"
    let after = try before.rebalanced(to: list)
    let moves = before.moves(to: after)
    #expect(moves.allSatisfy { $0.to == "successor" || $0.from == "shard-3" })
    #expect(moves.count <= before.count(of: "shard-3") + 33)
    for owned in after.slotCounts { #expect(owned <= cap(list, 0)) }
  }

  @Test(
    arguments: [
      ([1, 1, 1], [2, 1, 1]), ([2, 1, 1], [1, 1, 1]), ([1, 1], [1, 9]),
      ([1, 2, 3, 4], [4, 3, 2, 1]),
      ([1, 1, 1, 1], [1, 1, 1, 1.001]), ([1, 1, 1, 1], [1, 1, 1, 0.001]), ([5, 5, 5], [1, 1, 1]),
    ] as [([Double], [Double])])
  func aChangeOfWeightsMovesJustWhatLiesAboveTheCaps(old: [Double], new: [Double]) throws {
    let before = try SlotMap.initial(shards(weights: old))
    let list = shards(weights: new)
    let after = try before.rebalanced(to: list)

    let moves = before.moves(to: after)
    let overCaps = before.slotCounts.enumerated().map { max(0, $1 - cap(list, $0)) }
    #expect(moves.count == overCaps.reduce(0, +))
    for (index, shard) in list.enumerated() {
      #expect(after.slotCounts[index] <= cap(list, index))
      #expect(moves.count { $0.from == shard.id } == overCaps[index])
    }
  }

  @Test func aHeavierShardIsTheOnlyOneThatTakes() throws {
    let before = try SlotMap.initial(shards(weights: [1, 1, 1, 1]))
    let after = try before.rebalanced(to: shards(weights: [1, 1.5, 1, 1]))
    #expect(!before.moves(to: after).isEmpty)
    #expect(before.moves(to: after).allSatisfy { $0.to == "shard-2" })
  }

  @Test func aShardWhoseShareDidNotGrowTakesNothingEvenIfItIsTheNeediest() throws {
    let before = try dealt([4137, 4137, 4137, 3973])
    let after = try before.rebalanced(to: shards(weights: [1, 1.02, 1, 1]))
    #expect(after.slotCounts == [4117, 4177, 4117, 3973])
  }

  @Test func nothingMovesBetweenOldShardsWhenASmallNewcomerIsFull() throws {
    let before = try dealt([5517, 5517, 5350])
    let after = try before.rebalanced(to: shards(weights: [1, 1, 1, 0.0001]))
    #expect(after.slotCounts == [5516, 5517, 5350, 1])
  }

  @Test func aChangeOfAddressMovesNothingButIsRecorded() throws {
    let before = try SlotMap.initial(shards(6))
    let list = shards(6).map { ShardDescription(id: $0.id, address: "new-" + $0.address) }
    let after = try before.rebalanced(to: list.reversed())
    #expect(before.moves(to: after).isEmpty)
    #expect(after.sameContent(as: before))
    #expect(after.epoch == 2)
    #expect(after.shards.allSatisfy { $0.address.hasPrefix("new-") })
  }

  @Test func theOrderOfTheListDoesNotMatter() throws {
    let before = try SlotMap.initial(shards(6))
    let list = shards(weights: [1, 3, 1, 1, 2, 1, 1, 1])
    #expect(try before.rebalanced(to: list) == before.rebalanced(to: list.reversed()))
  }

  @Test func aSlotMapFromADocumentInAnyOrderRebalancesAlike() throws {
    let made = try SlotMap.initial(shards(4))
    let document = try SlotMap(
      epoch: 1, shards: made.shards.reversed(),
      ranges: made.ranges.map { SlotRange(first: $0.first, last: $0.last, shard: 3 - $0.shard) })
    #expect(try made.rebalanced(to: shards(5)) == document.rebalanced(to: shards(5)))
  }

  @Test func theLastEpochHasNoSuccessor() throws {
    let map = try SlotMap(
      epoch: .max, shards: shards(1), ranges: [SlotRange(first: 0, last: 16383, shard: 0)])
    #expect(throws: PlacementError.epochExhausted) { try map.rebalanced(to: shards(2)) }
  }

  @Test func randomChangesKeepTheRules() throws {
    let seed = TestSeed.value
    var random = SeededRandom(seed: seed)
    var list = shards(4)
    var map = try SlotMap.initial(list)
    var nextID = 5
    for step in 0..<30 {
      let note = Comment(rawValue: "RINGSTORE_TEST_SEED=\(seed), step \(step)")
      let old = map
      let changesWeight = Int.random(in: 0..<3, using: &random) == 0
      let isRemoval = list.count > 1 && Bool.random(using: &random)
      let place = Int.random(in: list.indices, using: &random)
      let weight = Double.random(in: 0.5...3, using: &random)
      if changesWeight {
        list[place].weight = weight
      } else if isRemoval {
        list.remove(at: place)
      } else {
        list.append(ShardDescription(id: "shard-\(nextID)", address: "", weight: weight))
        nextID += 1
      }
      map = try map.rebalanced(to: list)
      checkRandomStep(old, map, list, changesWeight, isRemoval, note)
    }
  }

  /// A map in which shards of weight 1 own runs of these lengths.
  private func dealt(_ lengths: [Int]) throws -> SlotMap {
    var ranges: [SlotRange] = []
    var next = 0
    for (index, length) in lengths.enumerated() {
      ranges.append(SlotRange(first: next, last: next + length - 1, shard: index))
      next += length
    }
    return try SlotMap(epoch: 1, shards: shards(lengths.count), ranges: ranges)
  }

  private func checkRandomStep(
    _ old: SlotMap, _ map: SlotMap, _ list: [ShardDescription], _ changesWeight: Bool,
    _ isRemoval: Bool, _ note: Comment
  ) {
    let moves = old.moves(to: map)
    #expect(map.slotCounts.reduce(0, +) == Slots.count, note)
    #expect(map.epoch == old.epoch + 1, note)
    for (index, shard) in list.enumerated() {
      #expect(map.count(of: shard.id) <= cap(list, index), note)
    }
    guard !changesWeight else { return }
    let oldIDs = Set(old.shards.map(\.id))
    let newIDs = Set(list.map(\.id))
    if isRemoval {
      #expect(moves.allSatisfy { !newIDs.contains($0.from) }, note)
    } else {
      #expect(moves.allSatisfy { !oldIDs.contains($0.to) }, note)
    }
  }
}

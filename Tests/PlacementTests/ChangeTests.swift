// The way from one list of shards to another.

import Placement
import Testing

@Suite struct ChangeTests {
  @Test func aNewcomerComesInOneStep() throws {
    let before = try SlotMap.initial(shards(3))
    let steps = try before.steps(to: shards(4))
    #expect(steps == [try before.rebalanced(to: shards(4))])
    let moves = before.movesByShards(to: steps[0])
    #expect(moves.map(\.to) == Array(repeating: "shard-4", count: moves.count))
    #expect(moves.reduce(0) { $0 + $1.slots } == before.slotsMoved(to: steps[0]).count)
  }

  @Test func aShardThatOwnsSlotsIsEmptiedBeforeItIsDropped() throws {
    let before = try SlotMap.initial(shards(3))
    let list = [shards(3)[0], shards(3)[2]]
    let steps = try before.steps(to: list)
    try #require(steps.count == 2)
    #expect(steps.map(\.epoch) == [2, 3])
    #expect(steps[0].shards.map(\.id) == ["shard-1", "shard-2", "shard-3"])
    #expect(steps[0].slotCounts[1] == 0)
    #expect(steps[1].shards.map(\.id) == ["shard-1", "shard-3"])
    #expect(steps[0].slotsMoved(to: steps[1]).isEmpty, "the second step moves nothing")
    let target = try before.rebalanced(to: list)
    #expect(steps[1].sameContent(as: target))
    // An emptied shard goes in one step.
    #expect(try steps[0].steps(to: list).count == 1)
  }

  @Test func otherAddressesAreNoChange() throws {
    let before = try SlotMap.initial(shards(3))
    var list = shards(3)
    list[1].address = "elsewhere:1"
    #expect(try before.steps(to: list).isEmpty)
    #expect(before.readdressed(by: list).shards[1].address == "elsewhere:1")
    #expect(before.readdressed(by: list).sameContent(as: before))
  }

  @Test func aChangeIsTakenBackByALaterMapWithTheSameOwners() throws {
    let before = try SlotMap.initial(shards(3))
    let after = try before.rebalanced(to: shards(4))
    let restored = try #require(before.restored(after: after))
    #expect(restored.epoch == 3 && restored.sameContent(as: before))
    let last = try SlotMap(epoch: .max, shards: before.shards, ranges: before.ranges)
    #expect(before.restored(after: last) == nil)
  }
}

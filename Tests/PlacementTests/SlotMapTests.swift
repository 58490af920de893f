// The document: ranges both ways, refusals, and when two maps say the same.

import Placement
import Testing

@Suite struct SlotMapTests {
  @Test func rangesDescribeTheMapWhole() throws {
    let map = try SlotMap.initial(shards(5))
    let ranges = map.ranges
    #expect(ranges.first?.first == 0)
    #expect(ranges.last?.last == 16383)
    for (left, right) in zip(ranges, ranges.dropFirst()) {
      #expect(left.last + 1 == right.first)
      #expect(left.shard != right.shard)
    }
    #expect(try SlotMap(epoch: 1, shards: map.shards, ranges: ranges) == map)
    for slot in [0, 1, 5000, 16383] {
      let range = ranges.first { $0.first <= slot && slot <= $0.last }
      #expect(range?.shard == map.owner(ofSlot: slot))
    }
  }

  @Test func oneShardIsOneRange() throws {
    let map = try SlotMap.initial(shards(1))
    #expect(map.ranges == [SlotRange(first: 0, last: 16383, shard: 0)])
  }

  @Test(
    arguments: [
      [], [(0, 16382, 0)], [(1, 16383, 0)], [(0, 16384, 0)], [(0, 16383, 2)], [(0, 16383, -1)],
      [(0, 99, 0), (101, 16383, 1)], [(0, 99, 0), (99, 16383, 1)], [(100, 16383, 0), (0, 99, 1)],
      [(0, 99, 0), (100, 50, 1), (100, 16383, 0)], [(0, Int.max, 0)], [(Int.min, 16383, 0)],
      [(0, 16383, 0), (16384, 16384, 0)], [(0, 16383, 0), (16384, 16383, 0)],
    ] as [[(Int, Int, Int)]])
  func badRangesAreRefusedWithASentence(ranges: [(Int, Int, Int)]) {
    let ranges = ranges.map { SlotRange(first: $0.0, last: $0.1, shard: $0.2) }
    do throws(PlacementError) {
      _ = try SlotMap(epoch: 1, shards: shards(2), ranges: ranges)
      Issue.record("accepted \(ranges)")
    } catch {
      #expect(error.description.hasPrefix("the slot ranges are not valid: "))
    }
  }

  @Test(arguments: [
    ([], PlacementError.noShards),
    ([ShardDescription(id: "a", address: ""), .init(id: "", address: "")], .emptyID(position: 1)),
    ([ShardDescription(id: "a", address: "x"), .init(id: "a", address: "y")], .duplicateID("a")),
    (
      [ShardDescription(id: "a", address: "x"), .init(id: "router", address: "y")],
      .reservedID("router")
    ),
    (shards(weights: [1, 0]), .badWeight(id: "shard-2", weight: 0)),
    (shards(weights: [-1]), .badWeight(id: "shard-1", weight: -1)),
    (shards(weights: [.infinity]), .badWeight(id: "shard-1", weight: .infinity)),
  ])
  func badListsAreRefusedEverywhere(list: [ShardDescription], expected: PlacementError) throws {
    let map = try SlotMap.initial(shards(2))
    #expect(throws: expected) { try SlotMap.initial(list) }
    #expect(throws: expected) { try map.rebalanced(to: list) }
    #expect(throws: expected) { try SlotMap(epoch: 1, shards: list, ranges: map.ranges) }
  }

  @Test func moreShardsThanTheLimitAreRefused() {
    let tooMany = SlotMap.shardCountMax + 1
    #expect(throws: PlacementError.tooManyShards(count: tooMany)) {
      try SlotMap.initial(shards(tooMany))
    }
  }

  @Test func aWeightThatIsNoNumberIsRefused() {
    do throws(PlacementError) {
      _ = try SlotMap.initial(shards(weights: [.nan]))
      Issue.record("accepted")
    } catch {
      let sentence = "shard 'shard-1' has the weight nan; a weight must be a finite number above 0"
      #expect(error.description == sentence)
    }
  }

  @Test func contentIsIdsWeightsAndOwners() throws {
    let map = try SlotMap.initial(shards(3))
    var list = map.shards
    list[0].address = "moved:1"
    let ranges = map.ranges
    #expect(try SlotMap(epoch: 9, shards: list, ranges: ranges).sameContent(as: map))

    list[1].weight = 2
    #expect(try !SlotMap(epoch: 1, shards: list, ranges: ranges).sameContent(as: map))
    list = map.shards
    list[1].id = "other"
    #expect(try !SlotMap(epoch: 1, shards: list, ranges: ranges).sameContent(as: map))
    #expect(try !SlotMap.initial(shards(4)).sameContent(as: map))

    var owners = map.ranges
    owners[0].shard = (owners[0].shard + 1) % 3
    let other = try SlotMap(epoch: 1, shards: map.shards, ranges: owners)
    #expect(!other.sameContent(as: map))
    #expect(!map.sameContent(as: other))
  }

  @Test func contentDoesNotDependOnTheOrderOfTheShards() throws {
    let map = try SlotMap.initial(shards(3))
    let reversed = try SlotMap(
      epoch: 1, shards: map.shards.reversed(),
      ranges: map.ranges.map { SlotRange(first: $0.first, last: $0.last, shard: 2 - $0.shard) })
    #expect(map.sameContent(as: reversed))
    let mislabelled = try SlotMap(epoch: 1, shards: map.shards.reversed(), ranges: map.ranges)
    #expect(!map.sameContent(as: mislabelled))
  }
}

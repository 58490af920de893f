// The first map of a cluster: balance, weights, determinism.

import Placement
import TestSeeds
import Testing

@Suite struct InitialMapTests {
  @Test(arguments: [1, 2, 3, 4, 5, 7, 8, 12, 16, 23, 32, 47, 64])
  func noShardOwnsMoreThanItsCap(count: Int) throws {
    let list = shards(count)
    let map = try SlotMap.initial(list)
    #expect(map.epoch == 1)
    #expect(map.slotCounts.reduce(0, +) == Slots.count)
    for owned in map.slotCounts {
      #expect(owned <= cap(list, 0))
      #expect(owned > 0)
    }
  }

  @Test(
    arguments: [
      [1, 2], [1, 1, 2, 4], [0.1, 0.2, 0.7], [1, 1000], [25, 7], [3, 3, 3, 1, 1, 0.5, 8, 2.25],
      [1e-300, 2e-300],
      [1e300, 3e300], [.leastNonzeroMagnitude, .leastNonzeroMagnitude],
    ] as [[Double]])
  func weightsAreRespected(weights: [Double]) throws {
    let list = shards(weights: weights)
    let map = try SlotMap.initial(list)
    for index in list.indices where weights.reduce(0, +).isFinite {
      #expect(map.slotCounts[index] <= cap(list, index))
      // The others' caps bound what can be missing: 1 % of the whole and a slot for each.
      #expect(Double(map.slotCounts[index]) >= fairShare(list, index) - 164 - Double(list.count))
    }
    #expect(map.slotCounts.reduce(0, +) == Slots.count)
  }

  @Test func weightsWhoseSumOverflowsStillShareEqually() throws {
    let map = try SlotMap.initial(shards(weights: [1e308, 1e308, 1e308]))
    for owned in map.slotCounts { #expect(owned <= 5517) }
  }

  @Test func aWeightTooSmallForASlotIsHarmless() throws {
    let map = try SlotMap.initial(shards(weights: [1e-300, 1e300, 1e300]))
    #expect(map.slotCounts[0] <= 1)
    #expect(map.slotCounts.reduce(0, +) == Slots.count)
  }

  @Test func slotsAreScatteredRatherThanDealtInRuns() throws {
    let map = try SlotMap.initial(shards(4))
    var inFirstQuarter = [Int](repeating: 0, count: 4)
    for slot in 0..<4096 { inFirstQuarter[map.owner(ofSlot: slot)] += 1 }
    for owned in inFirstQuarter { #expect((900...1150).contains(owned)) }
  }

  @Test func theOrderOfTheListDoesNotMatter() throws {
    let list = shards(weights: [1, 2, 3, 1, 1, 0.3, 4])
    let map = try SlotMap.initial(list)
    var random = SeededRandom(seed: 11)
    for _ in 0..<3 {
      #expect(try SlotMap.initial(list.shuffled(using: &random)) == map)
    }
  }

  @Test func addressesDoNotMatter() throws {
    let here = shards(3)
    let there = here.map { ShardDescription(id: $0.id, address: "elsewhere", weight: $0.weight) }
    #expect(try SlotMap.initial(here).owners == SlotMap.initial(there).owners)
  }

  @Test func onlyTheProportionOfWeightsMatters() throws {
    let small = try SlotMap.initial(shards(weights: [1, 2, 5]))
    let large = try SlotMap.initial(shards(weights: [8, 16, 40]))
    #expect(small.owners == large.owners)
  }

  /// Made by an independent implementation in another language. If this fails, nodes of different
  /// builds would refuse each other: existing clusters have these maps stored.
  @Test(
    arguments: [
      ([1], 0x8f69_55bf_94ec_2325), ([1, 1], 0x19df_290f_73f2_cedd),
      ([1, 1, 1], 0xece2_f781_f600_94c4), ([1, 2, 3.5, 0.1], 0x5651_8364_cc3d_06f5),
      ([Double](repeating: 1, count: 16), 0x3f77_7399_12ae_42a0),
    ] as [([Double], UInt64)])
  func theSameListGivesTheSameMapInEveryProcess(weights: [Double], digest: UInt64) throws {
    let found = try SlotMap.initial(shards(weights: weights)).digest
    #expect(found == digest, "digest 0x\(String(found, radix: 16))")
  }

  @Test func capsHoldWhereAShardHasFewSlots() throws {
    let counts = try SlotMap.initial(shards(200)).slotCounts
    #expect(counts.max() ?? 0 <= cap(shards(200), 0))
    #expect(counts.reduce(0, +) == Slots.count)
  }
}

// Sets of slots.

import Testing

@testable import Placement

@Suite struct SlotSetTests {
  @Test func aSetHasWhatWasInsertedAndNothingElse() {
    var set = SlotSet.none
    let members: Set<Int> = [0, 63, 64, 8_191, Slots.count - 1]
    for slot in members { set.insert(slot) }
    for slot in 0..<Slots.count { #expect(set.contains(slot) == members.contains(slot)) }
    #expect((0..<Slots.count).allSatisfy(SlotSet.all.contains))
  }

  @Test func theSetsOfAMapsShardsAreItsOwners() throws {
    let shards = ["a", "b", "c"].map { ShardDescription(id: $0, address: "\($0):1") }
    let map = try SlotMap.initial(shards)
    let sets = map.shards.indices.map(map.slots(ofShard:))
    for slot in 0..<Slots.count {
      let holders = sets.indices.filter { sets[$0].contains(slot) }
      #expect(holders == [map.owner(ofSlot: slot)])
    }
  }
}

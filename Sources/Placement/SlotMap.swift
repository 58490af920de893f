// Which shard owns which slot: a versioned document. It is made once, from the list of shards of a
// new cluster (SlotMap+Initial.swift), and changed step by step when the list changes
// (SlotMap+Change.swift, SlotMap+Rebalance.swift); in between it is handed on, never computed
// again.
//
// Owns the owner table (32 KiB) and the shard list. A value; any thread.

/// A run of slots with one owner. Inclusive on both ends.
package struct SlotRange: Sendable, Hashable {
  package var first: Int
  package var last: Int
  /// Index into the map's `shards`.
  package var shard: Int

  package init(first: Int, last: Int, shard: Int) {
    self.first = first
    self.last = last
    self.shard = shard
  }
}

package struct SlotMap: Sendable, Equatable {
  /// The most shards a map can hold: 16 slots for each.
  package static let shardCountMax = 1024

  /// Grows by one with every change of the map; a new cluster's is 1.
  package let epoch: UInt64
  /// The shards, whose places here are the indexes used everywhere else. Maps made by `initial`
  /// and `rebalanced` list them sorted by id.
  package let shards: [ShardDescription]
  /// The owner of each slot as an index into `shards`; `Slots.count` entries.
  package let owners: ContiguousArray<UInt16>

  /// For maps that are right by construction.
  init(epoch: UInt64, shards: [ShardDescription], owners: ContiguousArray<UInt16>) {
    precondition(owners.count == Slots.count)
    self.epoch = epoch
    self.shards = shards
    self.owners = owners
  }

  /// A map from its document, which may come from a peer or a file and is checked completely.
  ///
  /// - Throws: `PlacementError` if the list of shards is not valid, or the ranges are not
  ///   sorted, not gapless from 0 to the last slot, or name a shard that isn't listed.
  package init(
    epoch: UInt64, shards: [ShardDescription], ranges: [SlotRange]
  ) throws(PlacementError) {
    try ShardDescription.validate(shards)
    var owners = ContiguousArray<UInt16>()
    owners.reserveCapacity(Slots.count)
    for range in ranges {
      guard range.first == owners.count else {
        throw .badRanges("a range starts at slot \(range.first) where \(owners.count) is next")
      }
      guard range.last >= range.first, range.last < Slots.count else {
        throw .badRanges("a range reaches from slot \(range.first) to \(range.last)")
      }
      guard shards.indices.contains(range.shard) else {
        throw .badRanges("a range names shard number \(range.shard) of \(shards.count)")
      }
      let length = range.last - range.first + 1
      owners.append(contentsOf: repeatElement(UInt16(range.shard), count: length))
    }
    guard owners.count == Slots.count else {
      throw .badRanges("they end before slot \(owners.count) of \(Slots.count)")
    }
    self.init(epoch: epoch, shards: shards, owners: owners)
  }

  /// The index in `shards` of the owner of `slot`, which must be in 0..<Slots.count. O(1).
  package func owner(ofSlot slot: Int) -> Int {
    Int(owners[slot])
  }

  /// The owner table as the document writes it: sorted, gapless, neighbours with different owners.
  /// O(slots).
  package var ranges: [SlotRange] {
    var ranges: [SlotRange] = []
    var first = 0
    for slot in 1...Slots.count where slot == Slots.count || owners[slot] != owners[first] {
      ranges.append(SlotRange(first: first, last: slot - 1, shard: Int(owners[first])))
      first = slot
    }
    return ranges
  }

  /// How many slots each shard owns, in the order of `shards`. O(slots).
  package var slotCounts: [Int] {
    var counts = [Int](repeating: 0, count: shards.count)
    for owner in owners { counts[Int(owner)] += 1 }
    return counts
  }

  /// Whether both maps have the same placement: the same ids with the same weights, and each slot
  /// with the same id. O(slots).
  ///
  /// Addresses don't count: containers change theirs with every restart, and a shard is known by
  /// its id. The epoch, which callers compare separately, and the order of the list don't count
  /// either.
  package func sameContent(as other: SlotMap) -> Bool {
    guard shards.count == other.shards.count else { return false }
    var places: [String: Int] = [:]
    for (index, shard) in other.shards.enumerated() { places[shard.id] = index }
    var counterpart: [UInt16] = []
    for shard in shards {
      guard let place = places[shard.id], other.shards[place].weight == shard.weight else {
        return false
      }
      counterpart.append(UInt16(place))
    }
    return zip(owners, other.owners).allSatisfy { counterpart[Int($0)] == $1 }
  }
}

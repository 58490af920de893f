// From one map to another: what moves, and the steps to a new list of shards.
//
// Owns nothing. Pure; any thread.

/// Slots that change hands between two shards.
package struct SlotMove: Sendable, Hashable {
  package let from: String
  package let to: String
  package let slots: Int
}

extension SlotMap {
  /// The id of the owner of `slot`, which must be in 0..<Slots.count. O(1).
  package func ownerID(ofSlot slot: Int) -> String {
    shards[owner(ofSlot: slot)].id
  }

  /// The place of a shard in `shards`; nil if it isn't listed. O(shards).
  package func place(of id: String) -> Int? {
    shards.firstIndex { $0.id == id }
  }

  /// The slots whose owners differ. O(slots).
  package func slotsMoved(to next: SlotMap) -> SlotSet {
    let places = shards.map { next.place(of: $0.id) }
    var moved = SlotSet.none
    for slot in 0..<Slots.count where places[owner(ofSlot: slot)] != next.owner(ofSlot: slot) {
      moved.insert(slot)
    }
    return moved
  }

  /// The same by pairs of shards, sorted. O(slots).
  package func movesByShards(to next: SlotMap) -> [SlotMove] {
    struct Pair: Hashable {
      let from: Int
      let to: Int
    }
    let moved = slotsMoved(to: next)
    var counts: [Pair: Int] = [:]
    for slot in 0..<Slots.count where moved.contains(slot) {
      counts[Pair(from: owner(ofSlot: slot), to: next.owner(ofSlot: slot)), default: 0] += 1
    }
    return counts.map { pair, count in
      SlotMove(from: shards[pair.from].id, to: next.shards[pair.to].id, slots: count)
    }.sorted { ($0.from, $0.to) < ($1.from, $1.to) }
  }

  /// The maps that lead to the list `newShards`, each one epoch on; none if only addresses differ.
  /// O(slots x shards).
  ///
  /// A shard that is dropped first gives away its slots and is listed without any; the next map
  /// doesn't list it. So the shards that a map lists are always all that may have owned a slot
  /// before: once they have adopted it, it is in force, and any router can find that out.
  ///
  /// - Throws: `PlacementError` as `rebalanced` does.
  package func steps(to newShards: [ShardDescription]) throws(PlacementError) -> [SlotMap] {
    let target = try rebalanced(to: newShards)
    guard !target.sameContent(as: self) else { return [] }
    let dropped = shards.filter { target.place(of: $0.id) == nil }
    let counts = slotCounts
    guard
      shards.indices.contains(where: { target.place(of: shards[$0].id) == nil && counts[$0] > 0 })
    else { return [target] }
    guard target.epoch < .max else { throw .epochExhausted }
    let all = ShardDescription.canonicalOrder(target.shards + dropped)
    try ShardDescription.validate(all)
    let emptied = SlotMap(epoch: epoch + 1, shards: all, owners: target.owners(in: all))
    return [emptied, SlotMap(epoch: epoch + 2, shards: target.shards, owners: target.owners)]
  }

  /// The same owners one epoch after `other`: how a change is undone. The shards of further maps
  /// are listed without slots: with the weight 1, so that the map is the same for each of those
  /// maps. Nil if there is no such map. O(slots x shards).
  package func restored(after other: SlotMap, listing maps: [SlotMap] = []) -> SlotMap? {
    guard other.epoch < .max else { return nil }
    var all = shards
    for shard in maps.flatMap(\.shards) where !all.contains(where: { $0.id == shard.id }) {
      all.append(ShardDescription(id: shard.id, address: shard.address, weight: 1))
    }
    all = ShardDescription.canonicalOrder(all)
    guard (try? ShardDescription.validate(all)) != nil else { return nil }
    return SlotMap(epoch: other.epoch + 1, shards: all, owners: owners(in: all))
  }

  /// One epoch on without some shards. Nil if one of them has slots. O(slots x shards).
  package func dropping(_ ids: Set<String>) -> SlotMap? {
    let kept = shards.filter { !ids.contains($0.id) }
    let counts = slotCounts
    guard epoch < .max,
      shards.indices.allSatisfy({ counts[$0] == 0 || !ids.contains(shards[$0].id) })
    else { return nil }
    return SlotMap(epoch: epoch + 1, shards: kept, owners: owners(in: kept))
  }

  /// The same map with the addresses that a list names; those of shards that it doesn't list stay.
  package func readdressed(by list: [ShardDescription]) -> SlotMap {
    let shards = shards.map { shard in
      var shard = shard
      if let listed = list.first(where: { $0.id == shard.id }) { shard.address = listed.address }
      return shard
    }
    return SlotMap(epoch: epoch, shards: shards, owners: owners)
  }

  private func owners(in list: [ShardDescription]) -> ContiguousArray<UInt16> {
    let places = shards.map { shard in UInt16(list.firstIndex { $0.id == shard.id } ?? 0) }
    return ContiguousArray(owners.map { places[Int($0)] })
  }
}

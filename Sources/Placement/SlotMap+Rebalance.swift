// The next map when shards come, go, or change their weight: sticky, so that as few keys as
// possible have to move.
//
// Owns nothing. Pure; any thread.

extension SlotMap {
  /// The map for the list `newShards`, one epoch on. Deterministic; shards are matched by id, and a
  /// mere change of address moves nothing.
  ///
  /// - A newcomer takes the whole slots of its fair share (more only if that brings others down to
  ///   their caps), from shards above their new share; nothing moves between old shards.
  /// - When a shard leaves, only its slots move.
  /// - After a change of weights each shard gives what it has above its new cap, no more; as far as
  ///   caps allow, to shards whose share grew.
  ///
  /// - Throws: `PlacementError` as `initial` does, and where the epoch can't grow.
  package func rebalanced(to newShards: [ShardDescription]) throws(PlacementError) -> SlotMap {
    try ShardDescription.validate(newShards)
    guard epoch < .max else { throw .epochExhausted }
    let sorted = ShardDescription.canonicalOrder(newShards)
    let shares = WeightedShares(sorted)

    var newPlaces: [String: Int] = [:]
    for (index, shard) in sorted.enumerated() { newPlaces[shard.id] = index }
    let moved = shards.map { newPlaces[$0.id] }  // old index -> new index, nil where it left

    var owners = ContiguousArray<UInt16>(repeating: 0, count: Slots.count)
    var loads = [Int](repeating: 0, count: sorted.count)
    var pool: [Int] = []
    for slot in 0..<Slots.count {
      if let place = moved[Int(self.owners[slot])] {
        owners[slot] = UInt16(place)
        loads[place] += 1
      } else {
        pool.append(slot)
      }
    }

    let plan = plan(
      for: sorted, shares: shares, moved: moved, loads: loads, orphans: pool.count)
    let rendezvous = Rendezvous(sorted, shares)
    let quotas = plan.members.map(\.takes)
    pool += Self.given(by: plan, owners: owners, orphans: pool, rendezvous, quotas)
    pool.sort()
    rendezvous.assign(pool, quotas: quotas, to: &owners)
    return SlotMap(epoch: epoch + 1, shards: sorted, owners: owners)
  }

  private func plan(
    for sorted: [ShardDescription], shares: WeightedShares, moved: [Int?], loads: [Int],
    orphans: Int
  ) -> RebalancePlan {
    let earlier = WeightedShares(shards)
    var oldPlaces = [Int?](repeating: nil, count: sorted.count)
    for (old, new) in moved.enumerated() {
      if let new { oldPlaces[new] = old }
    }
    var weightsChanged = false
    let members = sorted.indices.map { index in
      let old = oldPlaces[index]
      if let old, shards[old].weight != sorted[index].weight { weightsChanged = true }
      return RebalancePlan.Member(
        load: loads[index], cap: shares.cap(of: index), isNew: old == nil,
        hasGrown: old.map { shares.isLarger(index, than: earlier, $0) } ?? true)
    }
    var plan = RebalancePlan(shares: shares, members: members)
    plan.placeOrphans(orphans)
    plan.fillNewcomers()
    if weightsChanged { plan.shedToCaps() }
    return plan
  }

  /// The slots that givers give: of each giver those with the lowest cost for its takers, so that
  /// the result stays close to the choice of rendezvous hashing alone.
  private static func given(
    by plan: RebalancePlan, owners: ContiguousArray<UInt16>, orphans: [Int],
    _ rendezvous: Rendezvous, _ quotas: [Int]
  ) -> [Int] {
    var gives = plan.members.map(\.gives)
    guard gives.contains(where: { $0 > 0 }) else { return [] }
    let orphaned = Set(orphans)
    var candidates: [(cost: Double, slot: Int)] = []
    for slot in 0..<Slots.count where gives[Int(owners[slot])] > 0 && !orphaned.contains(slot) {
      if let (_, cost) = rendezvous.cheapest(slot: slot, quotas: quotas) {
        candidates.append((cost, slot))
      }
    }
    candidates.sort { ($0.cost, $0.slot) < ($1.cost, $1.slot) }
    return candidates.compactMap { candidate in
      let giver = Int(owners[candidate.slot])
      guard gives[giver] > 0 else { return nil }
      gives[giver] -= 1
      return candidate.slot
    }
  }
}

// The first map of a new cluster: weighted rendezvous hashing with bounded loads.
//
// Owns nothing. Pure; any thread.

extension SlotMap {
  /// The map of a new cluster, epoch 1. The same on every machine and in every process, and for any
  /// order of the list; addresses are not used.
  ///
  /// Every slot, from 0 upwards, goes to its cheapest shard (see Rendezvous) that has not reached
  /// ceil(1.01 x its fair share). O(slots x shards): about a millisecond per shard.
  ///
  /// - Throws: `PlacementError` for an empty or too long list, an empty or repeated id, or a weight
  ///   that isn't a finite number above 0.
  package static func initial(_ shards: [ShardDescription]) throws(PlacementError) -> SlotMap {
    try ShardDescription.validate(shards)
    let sorted = ShardDescription.canonicalOrder(shards)
    let shares = WeightedShares(sorted)
    var owners = ContiguousArray<UInt16>(repeating: 0, count: Slots.count)
    Rendezvous(sorted, shares).assign(
      Array(0..<Slots.count), quotas: sorted.indices.map(shares.cap(of:)), to: &owners)
    return SlotMap(epoch: 1, shards: sorted, owners: owners)
  }
}

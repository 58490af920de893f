// Weights as integers, and what follows from them: each shard's fair share and its cap.
//
// Owns the integers. A value; any thread.
//
// Why integers: each node computes placement on its own, and all must agree on every slot. All
// weights are scaled by one power of two, so that the largest lies in 2^36 ..< 2^37, and rounded.
// Such scaling is exact; whole numbers, halves and the like keep their exact proportions. No
// product below exceeds 2^62: at most 1024 shards, 2^14 slots.

struct WeightedShares: Sendable {
  /// A shard may own at most ceil(101 % of its fair share).
  static let capPercent: UInt64 = 101
  static let weightBits = 36

  /// Scaled weights, in the order of the shards; each at least 1.
  let weights: [UInt64]
  let total: UInt64

  /// `shards` must have passed `ShardDescription.validate`.
  init(_ shards: [ShardDescription]) {
    let largest = shards.reduce(0) { max($0, $1.weight) }
    let shift = Self.weightBits - Int(largest.exponent)
    weights = shards.map { shard in
      let scaled = Double(sign: .plus, exponent: shift, significand: shard.weight)
      return max(1, UInt64(scaled + 0.5))
    }
    total = weights.reduce(0, +)
  }

  /// ceil(1.01 x fair share): the most slots that this shard should own. At least 1; all caps
  /// together exceed the number of slots.
  func cap(of shard: Int) -> Int {
    let numerator = Self.capPercent * UInt64(Slots.count) * weights[shard]
    let denominator = 100 * total
    return Int((numerator + denominator - 1) / denominator)
  }

  /// The whole slots of its fair share, but at least one: the number that a newcomer should
  /// receive.
  func wholeShare(of shard: Int) -> Int {
    max(1, Int(UInt64(Slots.count) * weights[shard] / total))
  }

  /// How far `load` slots lie above this shard's fair share (below: negative), in units of
  /// 1/total of a slot, so that no fraction is rounded away.
  func excess(of shard: Int, load: Int) -> Int64 {
    Int64(load) * Int64(total) - Int64(Slots.count) * Int64(weights[shard])
  }

  /// Whether `shard`'s fraction of the whole is larger here than `earlierShard`'s was there.
  func isLarger(_ shard: Int, than earlier: WeightedShares, _ earlierShard: Int) -> Bool {
    let now = weights[shard].multipliedFullWidth(by: earlier.total)
    let then = earlier.weights[earlierShard].multipliedFullWidth(by: total)
    return (now.high, now.low) > (then.high, then.low)
  }
}

// Weighted rendezvous hashing ("highest random weight", Thaler & Ravishankar 1998; the logarithmic
// form with weights is by Schindelhauer & Schomaker 2005): every (slot, shard) pair has a cost that
// depends only on the two, and a slot goes to the shard of the lowest cost that has room.
//
// Owns the hashes of the shards' ids and their weights. A value; any thread.
//
// Every machine must compute the same costs. Hashes are integer arithmetic. The logarithm is
// computed here with + - * / on Double, which IEEE 754 rounds in only one way (the compiler doesn't
// fuse them by default), and not by libm, whose last digits differ between versions.

struct Rendezvous: Sendable {
  private let idHashes: [UInt64]
  private let weights: [Double]

  init(_ shards: [ShardDescription], _ shares: WeightedShares) {
    idHashes = shards.map { Self.hash(id: $0.id) }
    weights = shares.weights.map { Double($0) }
  }

  /// The cost of `slot` on `shard`: -ln(u) / weight, with u in (0, 1) drawn from both. The lowest
  /// cost falls on a shard with a probability proportional to its weight. Above 0.
  func cost(slot: Int, shard: Int) -> Double {
    let hash = Self.mixed(idHashes[shard] ^ Self.mixed(UInt64(slot)))
    return Self.negatedLogarithm(hash) / weights[shard]
  }

  /// The cheapest shard for `slot` among those with a quota left; nil if all quotas are used up. On
  /// a tie the first of the list, which is sorted. O(shards).
  func cheapest(slot: Int, quotas: [Int]) -> (shard: Int, cost: Double)? {
    var best: (shard: Int, cost: Double)?
    for shard in quotas.indices where quotas[shard] > 0 {
      let cost = cost(slot: slot, shard: shard)
      if let found = best, found.cost <= cost { continue }
      best = (shard, cost)
    }
    return best
  }

  /// Gives each of `slots` in turn to the cheapest shard that has a quota left. The quotas must
  /// suffice for all of them. O(slots x shards).
  func assign(_ slots: [Int], quotas: [Int], to owners: inout ContiguousArray<UInt16>) {
    var quotas = quotas
    for slot in slots {
      guard let (shard, _) = cheapest(slot: slot, quotas: quotas) else {
        preconditionFailure("quotas don't reach for the slots to be placed")
      }
      quotas[shard] -= 1
      owners[slot] = UInt16(shard)
    }
  }

  /// FNV-1a, 64 bits, over the bytes of the id.
  static func hash(id: String) -> UInt64 {
    id.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01b3 }
  }

  /// The finaliser of SplitMix64 (Steele, Lea & Flood 2014), which lets every bit reach every bit:
  /// ids often differ in their last digit only.
  static func mixed(_ value: UInt64) -> UInt64 {
    var bits = value &+ 0x9e37_79b9_7f4a_7c15
    bits = (bits ^ (bits >> 30)) &* 0xbf58_476d_1ce4_e5b9
    bits = (bits ^ (bits >> 27)) &* 0x94d0_49bb_1331_11eb
    return bits ^ (bits >> 31)
  }

  /// -ln(u) for u = (the hash's upper 52 bits + 1/2) / 2^52, which is exact and never 0 or 1.
  ///
  /// u = m x 2^e with m near 1; ln m = 2 artanh(s), s = (m - 1) / (m + 1), |s| < 0.172, by its
  /// series up to s^19: the error is below 2^-53.
  static func negatedLogarithm(_ hash: UInt64) -> Double {
    let drawn = Double(hash >> 12) + 0.5
    var exponent = Double(drawn.exponent) - 52
    var m = drawn.significand
    if m > 1.414_213_562_373_095 {
      m *= 0.5
      exponent += 1
    }
    let s = (m - 1) / (m + 1)
    let z = s * s
    var series = 1.0 / 19
    series = series * z + 1.0 / 17
    series = series * z + 1.0 / 15
    series = series * z + 1.0 / 13
    series = series * z + 1.0 / 11
    series = series * z + 1.0 / 9
    series = series * z + 1.0 / 7
    series = series * z + 1.0 / 5
    series = series * z + 1.0 / 3
    series = series * z + 1
    return -(exponent * 0.693_147_180_559_945_3 + 2 * s * series)
  }
}

// What the placement tests share: short ways to write keys and lists of shards, and a digest of
// owner tables.
//
// Owns nothing. Any thread.

import Placement

func slot(of key: String) -> Int {
  slot(of: Array(key.utf8))
}

func slot(of key: [UInt8]) -> Int {
  key.withUnsafeBytes { Slots.slot(of: $0) }
}

/// shard-1 ... shard-n with these weights.
func shards(weights: [Double]) -> [ShardDescription] {
  weights.enumerated().map { index, weight in
    ShardDescription(id: "shard-\(index + 1)", address: "10.0.0.\(index):7000", weight: weight)
  }
}

func shards(_ count: Int) -> [ShardDescription] {
  shards(weights: [Double](repeating: 1, count: count))
}

extension SlotMap {
  /// The owner of each slot by id, which unlike the index means the same in every map.
  var ownerIDs: [String] {
    owners.map { shards[Int($0)].id }
  }

  /// FNV-1a over the owner table, two bytes a slot, low byte first.
  var digest: UInt64 {
    owners.reduce(0xcbf2_9ce4_8422_2325) { hash, owner in
      let low = (hash ^ UInt64(owner & 0xff)) &* 0x0000_0100_0000_01b3
      return (low ^ UInt64(owner >> 8)) &* 0x0000_0100_0000_01b3
    }
  }

  func count(of id: String) -> Int {
    shards.firstIndex { $0.id == id }.map { slotCounts[$0] } ?? 0
  }

  /// Slots that have another owner in `next`: from whom, to whom.
  func moves(to next: SlotMap) -> [(from: String, to: String)] {
    zip(ownerIDs, next.ownerIDs).filter { $0 != $1 }.map { (from: $0, to: $1) }
  }
}

/// The fair share of shard number `index`, worked out independently of the code under test.
func fairShare(_ shards: [ShardDescription], _ index: Int) -> Double {
  16384 * shards[index].weight / shards.reduce(0) { $0 + $1.weight }
}

/// ceil(1.01 x fair share). The small subtrahend keeps a share that is whole but for the last
/// binary digit from being rounded up.
func cap(_ shards: [ShardDescription], _ index: Int) -> Int {
  Int((1.01 * fairShare(shards, index) - 1e-7).rounded(.up))
}

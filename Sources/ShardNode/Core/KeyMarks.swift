// The batch of the log with the last change of a key. Keys share 65,536 numbers by their hashes. A
// key that shares one with a key that has just changed waits for that change too, which takes as
// long as the wait of one write.
//
// Belongs to a shard's log; its event loop.

import Placement
import Store

struct KeyMarks {
  private static let bucketCount = 1 << 16

  private let buckets: UnsafeMutablePointer<UInt64>
  /// Of slots that were emptied.
  private let slots: UnsafeMutablePointer<UInt64>

  init() {
    buckets = .allocate(capacity: Self.bucketCount)
    buckets.initialize(repeating: 0, count: Self.bucketCount)
    slots = .allocate(capacity: Slots.count)
    slots.initialize(repeating: 0, count: Slots.count)
  }

  func deallocate() {
    buckets.deallocate()
    slots.deallocate()
  }

  /// The last batch with a change of a key with this hash, or of its whole slot; 0: none.
  @inline(__always)
  func batch(hash: UInt64, slot: Int) -> UInt64 {
    max(buckets[Int(truncatingIfNeeded: hash) & (Self.bucketCount &- 1)], slots[slot])
  }

  @inline(__always)
  func changed(hash: UInt64, inBatch batch: UInt64) {
    buckets[Int(truncatingIfNeeded: hash) & (Self.bucketCount &- 1)] = batch
  }

  func emptied(slot: Int, inBatch batch: UInt64) { slots[slot] = batch }
}

// How large segments are. Small at first, so that a shard with little data uses little disk space;
// larger as the log grows, so that beginning one costs very little. Pure.

package struct SegmentSizes: Sendable {
  /// Of the first segment after a start, in bytes, headers included.
  package var first: UInt64
  /// Each is twice as long as the one before, up to this.
  package var largest: UInt64
  /// Steps in which a prepared segment is filled with zeros.
  package var fillStep: Int

  package init(first: UInt64 = 1 << 20, largest: UInt64 = 64 << 20, fillStep: Int = 1 << 20) {
    self.first = first
    self.largest = largest
    self.fillStep = fillStep
  }

  package func next(after size: UInt64) -> UInt64 { min(largest, max(first, size * 2)) }
}

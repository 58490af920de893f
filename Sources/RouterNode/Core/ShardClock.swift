// A shard's clock as received by a router's loop, on one link. Every frame with calls carries the
// newest value, so that the shard can compute the frame's age; and deadlines of clients are sent in
// the shard's clock, so that delays on the way don't change them. Pure.

struct ShardClock {
  /// How much the clocks of two machines may drift apart between two of the shard's messages.
  private static let driftNanosMax: Int64 = 500_000

  /// The newest value; 0: none yet.
  private(set) var heardMillis: UInt64 = 0
  /// By how much our clock is ahead of the shard's. Each value was delayed on its way, so each
  /// difference is too high; the lowest one is the best.
  private var offsetNanos: Int64 = 0

  mutating func heard(_ millis: UInt64, nowNanos: UInt64) {
    let shardNanos = Int64(clamping: millis).multipliedReportingOverflow(by: 1_000_000)
    guard !shardNanos.overflow else { return }
    let reading = Int64(clamping: nowNanos) &- shardNanos.partialValue
    offsetNanos = heardMillis == 0 ? reading : min(reading, offsetNanos &+ Self.driftNanosMax)
    heardMillis = max(heardMillis, millis)
  }

  /// A deadline of our clock on the shard's, in milliseconds, rounded up; never 0.
  func millis(ofDeadline deadlineNanos: UInt64) -> UInt64 {
    let nanos = Int64(clamping: deadlineNanos).subtractingReportingOverflow(offsetNanos)
    guard !nanos.overflow, nanos.partialValue > 0 else { return nanos.overflow ? .max : 1 }
    return UInt64(nanos.partialValue - 1) / 1_000_000 + 1
  }

  /// The reverse: a deadline of the shard's clock on ours. 0 means none on both.
  func deadlineNanos(ofMillis millis: UInt64) -> UInt64 {
    guard millis > 0 else { return 0 }
    let (nanos, overflows) = Int64(clamping: millis).multipliedReportingOverflow(by: 1_000_000)
    let sum = nanos.addingReportingOverflow(offsetNanos)
    return overflows || sum.overflow ? UInt64(Int64.max) : UInt64(max(1, sum.partialValue))
  }
}

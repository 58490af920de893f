// The buckets of durations and their counts: log-linear, four buckets for each power of two of a
// microsecond, so that any percentile is known to within a quarter of its value with 97 numbers.
// Values and pure functions; any thread.
//
// A bucket holds durations above its lower bound, up to and with its upper one, as `le` of
// Prometheus requires: with m = (nanoseconds - 1) / 1000, the whole microseconds below it,
//
//   m        0  1  2  3  4  5  6  7  8-9  10-11  12-13  14-15  16-19 ...   2^25-1   from 2^25 on
//   bucket   0  1  2  3  4  5  6  7   8     9     10     11     12   ...     95        96

/// Where durations belong.
package enum DurationBuckets {
  /// Buckets, the last of which has no upper bound: 33.5 seconds and more.
  package static let count = 97
  /// The powers of two that are shown as bucket bounds: 1 µs to 16.8 s.
  package static let shownPowers = 0...24

  /// The bucket of a duration.
  @inline(__always)
  package static func index(nanos: UInt64) -> Int {
    let micros = nanos == 0 ? 0 : (nanos &- 1) / 1_000
    guard micros >= 4 else { return Int(truncatingIfNeeded: micros) }
    let power = 63 &- micros.leadingZeroBitCount
    guard power <= 24 else { return count - 1 }
    return 4 &* (power &- 1) &+ Int(truncatingIfNeeded: (micros >> UInt64(power &- 2)) & 3)
  }

  /// The upper bound of a bucket in nanoseconds; of the last one, its lower bound.
  package static func upperNanos(_ index: Int) -> UInt64 {
    guard index >= 4 else { return UInt64(max(index, 0) + 1) * 1_000 }
    guard index < count - 1 else { return (1 << 25) * 1_000 }
    let (power, part) = (index / 4 + 1, index % 4)
    return UInt64(4 + part + 1) << UInt64(power - 2) * 1_000
  }

  /// How many buckets are at or below the bound of 2^power microseconds.
  package static func countBelow(power: Int) -> Int {
    power < 2 ? 1 << power : 4 * (power - 1)
  }
}

/// What was counted of one kind of duration.
package struct DurationCounts: Sendable, Hashable {
  /// By bucket; empty if nothing was counted.
  package private(set) var buckets: [UInt64] = []
  package private(set) var sumNanos: UInt64 = 0

  package init() {}

  /// - Parameter cells: the buckets, then the sum.
  init(_ cells: UnsafeBufferPointer<UInt64>) {
    buckets = Array(cells.prefix(DurationBuckets.count))
    sumNanos = cells.last ?? 0
  }

  /// What is between two looks at the buckets of one node; empty ones may be missing. Where the
  /// node has counted less than before, as after its restart: all that it has now.
  package init(between before: [UInt64], and now: [UInt64]) {
    let places = 0..<DurationBuckets.count
    func all(_ buckets: [UInt64]) -> [UInt64] {
      places.map { $0 < buckets.count ? buckets[$0] : 0 }
    }
    let (before, now) = (all(before), all(now))
    let isOneRow = places.allSatisfy { before[$0] <= now[$0] }
    buckets = isOneRow ? places.map { now[$0] - before[$0] } : now
  }

  package var count: UInt64 { buckets.reduce(0, &+) }

  package mutating func add(nanos: UInt64, times: UInt64 = 1) {
    if buckets.isEmpty { buckets = Array(repeating: 0, count: DurationBuckets.count) }
    buckets[DurationBuckets.index(nanos: nanos)] &+= times
    sumNanos &+= nanos &* times
  }

  package mutating func add(_ other: DurationCounts) {
    sumNanos &+= other.sumNanos
    if buckets.isEmpty {
      buckets = other.buckets
    } else {
      for (place, count) in other.buckets.enumerated() { buckets[place] &+= count }
    }
  }

  /// Counted durations of at most 2^power microseconds.
  package func count(power: Int) -> UInt64 {
    buckets.prefix(DurationBuckets.countBelow(power: power)).reduce(0, &+)
  }

  /// The upper bound of the bucket that contains this part of all durations; nil if nothing was
  /// counted.
  ///
  /// - Parameter part: 0.99 for the 99th percentile.
  package func quantileNanos(_ part: Double) -> UInt64? {
    let total = count
    guard total > 0 else { return nil }
    // Of counts near the end of their type, as a node may tell them, all.
    let exact = (Double(total) * min(max(part, 0), 1)).rounded(.up)
    let wanted = max(1, UInt64(exactly: exact) ?? total)
    var seen: UInt64 = 0
    for (place, count) in buckets.enumerated() {
      seen &+= count
      if seen >= wanted { return DurationBuckets.upperNanos(place) }
    }
    return nil
  }
}

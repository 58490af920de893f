// Latencies as an HDR histogram: percentiles to three digits for all values. The rest of the room
// uses only this type. A value; one thread at a time.

import Histogram

package struct LatencyHistogram: Sendable {
  /// Longer latencies count as this one; the maximum is still kept exactly.
  package static let nanosLimit: UInt64 = 3_600_000_000_000

  private var counts = Histogram<UInt64>(
    lowestDiscernibleValue: 1, highestTrackableValue: nanosLimit,
    numberOfSignificantValueDigits: .three)
  package private(set) var maxNanos: UInt64 = 0
  private var sumNanos: Double = 0

  package init() {}

  package var count: Int { Int(clamping: counts.totalCount) }
  package var isEmpty: Bool { counts.totalCount == 0 }

  @inline(__always)
  package mutating func record(_ nanos: UInt64) {
    counts.record(min(nanos, Self.nanosLimit))
    maxNanos = max(maxNanos, nanos)
    sumNanos += Double(nanos)
  }

  package mutating func add(_ other: LatencyHistogram) {
    counts.add(other.counts)
    maxNanos = max(maxNanos, other.maxNanos)
    sumNanos += other.sumNanos
  }

  /// The latency that `percentile` of 100 calls did not exceed; 0 if there are none.
  package func nanos(atPercentile percentile: Double) -> UInt64 {
    isEmpty ? 0 : min(counts.valueAtPercentile(percentile), maxNanos)
  }

  package var meanNanos: Double { isEmpty ? 0 : sumNanos / Double(counts.totalCount) }
}

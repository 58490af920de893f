// Durations in buckets, against a count of the durations themselves.

import MetricTypes
import Testing

@Suite struct DurationBucketsTests {
  @Test func aDurationLiesAboveTheBucketBeforeItsOwnAndAtOrBelowItsOwn() {
    for power in 0..<35 {
      for offset in [-1_001, -1_000, -999, -1, 0, 1, 999, 1_000, 1_001] {
        let base: UInt64 = 1 << UInt64(power) * 1_000
        let nanos = UInt64(max(0, Int(base) + offset))
        let index = DurationBuckets.index(nanos: nanos)
        #expect(DurationBuckets.count > index)
        if index < DurationBuckets.count - 1 {
          #expect(nanos <= DurationBuckets.upperNanos(index), "\(nanos)")
        }
        if index > 0 { #expect(nanos > DurationBuckets.upperNanos(index - 1), "\(nanos)") }
      }
    }
  }

  @Test func aBucketsBoundIsWithinAQuarterOfTheDurationsInIt() {
    for index in 4..<DurationBuckets.count - 1 {
      let (lower, upper) = (
        DurationBuckets.upperNanos(index - 1), DurationBuckets.upperNanos(index)
      )
      #expect(Double(upper - lower) <= Double(lower) / 4)
    }
  }

  @Test func whatIsCountedBelowAShownBoundIsWhatLiesAtOrBelowIt() {
    let all = durations(count: 2_000)
    var counts = DurationCounts()
    for nanos in all { counts.add(nanos: nanos) }
    for power in DurationBuckets.shownPowers {
      let bound: UInt64 = 1_000 << UInt64(power)
      #expect(counts.count(power: power) == UInt64(all.filter { $0 <= bound }.count))
    }
    #expect(counts.count == 2_000)
    #expect(counts.sumNanos == all.reduce(0, +))
  }

  @Test func aPercentileIsAtMostAQuarterAboveTheOneOfTheDurationsThemselves() throws {
    // Beyond the last bound all durations are in one bucket.
    let last = DurationBuckets.upperNanos(DurationBuckets.count - 1)
    let all = durations(count: 1_001).map { min($0, last) }.sorted()
    var counts = DurationCounts()
    for nanos in all { counts.add(nanos: nanos) }
    for part in [0.5, 0.9, 0.99, 1.0] {
      let exact = all[min(all.count - 1, Int((Double(all.count) * part).rounded(.up)) - 1)]
      let found = try #require(counts.quantileNanos(part))
      #expect(found >= exact)
      #expect(Double(found) <= Double(max(exact, 4_000)) * 1.25 + 1_000)
    }
    #expect(DurationCounts().quantileNanos(0.5) == nil)
  }

  @Test func twoCountsAddUp() {
    var (one, other, both) = (DurationCounts(), DurationCounts(), DurationCounts())
    for (number, nanos) in durations(count: 500).enumerated() {
      if number % 3 == 0 { one.add(nanos: nanos) } else { other.add(nanos: nanos) }
      both.add(nanos: nanos)
    }
    var sum = DurationCounts()
    sum.add(one)
    sum.add(other)
    #expect(sum == both)
  }

  @Test func aReportHasTheChangesSinceTheLastOneAndAllCountsOfARestartedNode() {
    #expect(DurationCounts(between: [1, 2], and: [1, 5, 7]).buckets.prefix(4) == [0, 3, 7, 0])
    #expect(DurationCounts(between: [9, 9], and: [1, 5]).buckets.prefix(3) == [1, 5, 0])
    #expect(DurationCounts(between: [3], and: [3]).quantileNanos(0.5) == nil)
    #expect(DurationCounts(between: [], and: [0, 0, 4]).quantileNanos(0.99) == 3_000)
  }

  @Test func countsThatNoNodeCanHaveAreTakenAllTheSame() {
    let huge = [UInt64](repeating: .max, count: 200)
    for part in [0, 0.5, 0.99, 1] {
      _ = DurationCounts(between: [], and: huge).quantileNanos(part)
      #expect(DurationCounts(between: [], and: [.max]).quantileNanos(part) == 1_000)
    }
    #expect(DurationCounts(between: huge, and: huge).count == 0)
  }

  /// From below a microsecond to beyond the last bucket, evenly in their logarithm.
  private func durations(count: Int) -> [UInt64] {
    var state: UInt64 = 88_172_645_463_325_252
    return (0..<count).map { _ in
      state ^= state << 13
      state ^= state >> 7
      state ^= state << 17
      return (state >> 24) >> (state % 34)
    }
  }
}

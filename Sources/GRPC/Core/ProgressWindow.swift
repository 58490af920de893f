// Whether something that must continue does so, judged as a rate: this many bytes in each period. A
// single byte now and then is no progress. Pure; the clock is passed in.

/// The period that is being looked at.
package struct ProgressWindow {
  /// When it began, in nanoseconds; 0: not looked at yet.
  private var sinceNanos: UInt64 = 0
  /// The bytes at that time.
  private var sinceBytes = 0

  package init() {}

  /// Begins again at the next look.
  package mutating func restart() {
    sinceNanos = 0
  }

  /// Records the progress. Returns whether it was less than `bytesMin` in a whole period.
  ///
  /// - Parameter bytes: a count that only grows; one that has fallen starts again.
  package mutating func isSlow(
    bytes: Int, nowNanos: UInt64, periodNanos: UInt64, bytesMin: Int
  ) -> Bool {
    if sinceNanos == 0 || bytes < sinceBytes || bytes - sinceBytes >= bytesMin {
      sinceNanos = max(nowNanos, 1)
      sinceBytes = bytes
      return false
    }
    return nowNanos > sinceNanos && nowNanos - sinceNanos > periodNanos
  }
}

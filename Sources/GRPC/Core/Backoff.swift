// How long to wait before the next connect attempt: exponential with jitter, so that many clients
// of one restarted node don't come back in step. Pure; randomness is passed in.

/// Exponential backoff with jitter.
package struct Backoff: Sendable {
  /// First delay, in nanoseconds.
  package let baseNanos: UInt64
  /// Factor from one delay to the next.
  package let multiplier: Double
  /// Longest delay before jitter, in nanoseconds.
  package let maxNanos: UInt64
  /// Each delay is scaled by a factor drawn from 1 - jitter ... 1 + jitter.
  package let jitter: Double

  private var currentNanos: Double

  package init(
    baseNanos: UInt64 = 100_000_000, multiplier: Double = 1.6, maxNanos: UInt64 = 5_000_000_000,
    jitter: Double = 0.2
  ) {
    self.baseNanos = baseNanos
    self.multiplier = max(multiplier, 1)
    self.maxNanos = max(maxNanos, baseNanos)
    self.jitter = min(max(jitter, 0), 1)
    self.currentNanos = Double(baseNanos)
  }

  /// The next delay, in nanoseconds; the one after it will be longer.
  package mutating func nextNanos(using random: inout some RandomNumberGenerator) -> UInt64 {
    let delay = min(currentNanos, Double(maxNanos))
    currentNanos = min(currentNanos * multiplier, Double(maxNanos))
    let scaled = delay * Double.random(in: (1 - jitter)...(1 + jitter), using: &random)
    // Far below 2^64 even doubled, unless configured absurdly; then saturate rather than trap.
    return UInt64(exactly: scaled.rounded()) ?? .max
  }

  /// Starts over at the base delay: a connection was made.
  package mutating func reset() { currentNanos = Double(baseNanos) }
}

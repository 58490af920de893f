// How long ago a call has looked a key up last, in 32 bits: the wall clock in steps of 16 ms.
//
// Good for 1.09 years. Where the clock was put back, a key that was used "later" counts as used
// now.

enum AccessClock {
  private static let stepBits: Int64 = 4

  @inline(__always)
  static func clock(atMillis nowMillis: Int64) -> UInt32 {
    UInt32(truncatingIfNeeded: nowMillis >> stepBits)
  }

  /// A moment long before any key expires, at which the clock shows the same: for look-ups that
  /// count as use and judge no expiry.
  static func beforeExpiry(_ nowMillis: Int64) -> Int64 { nowMillis &- 1 << 56 }

  /// Milliseconds since the entry was used.
  static func idleMillis(_ clock: UInt32, nowMillis: Int64) -> Int64 {
    let steps = Int32(bitPattern: Self.clock(atMillis: nowMillis) &- clock)
    return Int64(max(0, steps)) << stepBits
  }
}

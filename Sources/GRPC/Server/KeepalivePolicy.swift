// Counts a client's PINGs against the allowance of gRFC A8. Pure; the clock is passed in.

/// The strikes of one connection.
struct KeepalivePolicy {
  /// Shortest interval while calls are open, in nanoseconds.
  private var minIntervalNanos: UInt64
  /// Shortest interval while none is open.
  private var minIdleIntervalNanos: UInt64

  private(set) var strikes = 0
  private var lastPingNanos: UInt64?
  private var usefulFramesAtLastPing = 0

  init(minIntervalNanos: UInt64, minIdleIntervalNanos: UInt64) {
    self.minIntervalNanos = minIntervalNanos
    self.minIdleIntervalNanos = minIdleIntervalNanos
  }

  /// Sets both intervals.
  mutating func permit(everyNanos: UInt64) {
    minIntervalNanos = everyNanos
    minIdleIntervalNanos = everyNanos
  }

  /// Records a PING. Returns false when the client has passed the strikes that are forgiven.
  ///
  /// - Parameter usefulFramesSent: HEADERS and DATA frames sent so far. If that grew since the last
  ///   PING the strikes are forgotten: clients that probe their bandwidth ping along with data.
  mutating func received(nowNanos: UInt64, hasCalls: Bool, usefulFramesSent: Int) -> Bool {
    if usefulFramesSent != usefulFramesAtLastPing {
      usefulFramesAtLastPing = usefulFramesSent
      strikes = 0
      lastPingNanos = nil
    }
    let interval = hasCalls ? minIntervalNanos : minIdleIntervalNanos
    defer { lastPingNanos = nowNanos }
    guard let last = lastPingNanos, nowNanos &- last < interval else { return true }
    strikes += 1
    return strikes <= ServerConfiguration.maxPingStrikes
  }
}

// When to send a PING to a silent peer, and when to close its connection. Pure: the owner checks
// regularly, with its own clock, sends the PING and closes. All times are nanoseconds of one
// monotonic clock.
//
// Silence counts only while the owner was able to read. A delayed loop (a thousand connections
// closed at once, a suspended process) checks late, and data of the peer may be unread in the
// socket. So each check counts for at most the regular time between two checks: a peer is abandoned
// only after as many checks as fit into the time limit, and between two checks the loop reads its
// sockets.

/// Watches one connection for silence.
struct Liveness {
  /// The action for the owner.
  enum Action: Equatable {
    /// Nothing; look again after this time.
    case wait(nanos: UInt64)
    /// Send a PING; look again after this time.
    case ping(nanos: UInt64)
    /// The peer counts as dead.
    case dead
  }

  /// The number of checks in the shorter of the two times, unless the owner sets the interval.
  static let looksMin: UInt64 = 8

  let intervalNanos: UInt64
  let timeoutNanos: UInt64
  let lookNanos: UInt64
  /// Whether bytes arrived since the last check.
  private var hasHeard = false
  private var isPinged = false
  /// The silence that counts: before the PING, and after it.
  private var silenceNanos: UInt64 = 0
  private var lookedNanos: UInt64

  /// - Parameters:
  ///   - intervalNanos: silence before the PING.
  ///   - timeoutNanos: silence after it.
  ///   - lookNanos: the interval of the owner's checks; nil: as returned by the checks.
  init(
    intervalNanos: UInt64, timeoutNanos: UInt64, lookNanos: UInt64? = nil, nowNanos: UInt64
  ) {
    self.intervalNanos = max(intervalNanos, 1)
    self.timeoutNanos = max(timeoutNanos, 1)
    self.lookNanos = max(
      lookNanos ?? min(self.intervalNanos, self.timeoutNanos) / Self.looksMin, 1)
    lookedNanos = nowNanos
  }

  /// Bytes arrived: the peer is alive. No clock is needed.
  mutating func heard() { hasHeard = true }

  /// Calls began to wait after a time without any: silence counts from here.
  mutating func restart(nowNanos: UInt64) {
    lookedNanos = nowNanos
    live()
  }

  /// One check, after the time that the last one returned, or later.
  ///
  /// - Parameter unheardNanos: called only before the peer is abandoned: how long ago the system
  ///   received bytes from it, read or not; nil if unknown.
  mutating func look(nowNanos: UInt64, unheardNanos: () -> UInt64? = { nil }) -> Action {
    let passed = nowNanos > lookedNanos ? nowNanos - lookedNanos : 0
    lookedNanos = max(nowNanos, lookedNanos)
    if hasHeard {
      live()
      return .wait(nanos: min(lookNanos, intervalNanos))
    }
    silenceNanos += min(passed, lookNanos)
    let limit = isPinged ? timeoutNanos : intervalNanos
    guard silenceNanos >= limit else {
      return .wait(nanos: min(lookNanos, limit - silenceNanos))
    }
    silenceNanos = 0
    guard isPinged else {
      isPinged = true
      return .ping(nanos: min(lookNanos, timeoutNanos))
    }
    // The reply has arrived, after other data that the loop must read first.
    if let unheard = unheardNanos(), unheard < timeoutNanos {
      live()
      return .wait(nanos: min(lookNanos, intervalNanos))
    }
    return .dead
  }

  private mutating func live() {
    hasHeard = false
    isPinged = false
    silenceNanos = 0
  }
}

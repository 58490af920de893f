// When to ask a silent peer whether it lives, and when to give it up. Pure: the owner looks every
// so often, with its own clock, sends the PING and closes. All times are nanoseconds of one
// monotonic clock.
//
// Silence counts only while the owner was able to hear. A loop that was held up (a thousand
// connections closed at once, a process that was stopped) looks late, and what the peer said
// meanwhile may lie unread in the socket. So each look counts for no more silence than there should
// be between two looks, however late it comes: a peer is abandoned only after as many looks as fit
// into the time limit, and between two looks the loop reads its sockets.

/// Watches one connection for silence.
struct Liveness {
  /// What the owner is to do.
  enum Action: Equatable {
    /// Nothing; look again after this time.
    case wait(nanos: UInt64)
    /// Send a PING; look again after this time.
    case ping(nanos: UInt64)
    /// The peer counts as dead.
    case dead
  }

  /// Looks that fit into the shorter of the two times, unless the owner has a pace of its own.
  static let looksMin: UInt64 = 8

  let intervalNanos: UInt64
  let timeoutNanos: UInt64
  let lookNanos: UInt64
  /// Whether bytes came in since the last look.
  private var hasHeard = false
  private var isPinged = false
  /// The silence that counts: before the PING, and after it.
  private var silenceNanos: UInt64 = 0
  private var lookedNanos: UInt64

  /// - Parameters:
  ///   - intervalNanos: silence before the PING.
  ///   - timeoutNanos: silence after it.
  ///   - lookNanos: how often the owner looks; nil: as often as it is told to.
  init(
    intervalNanos: UInt64, timeoutNanos: UInt64, lookNanos: UInt64? = nil, nowNanos: UInt64
  ) {
    self.intervalNanos = max(intervalNanos, 1)
    self.timeoutNanos = max(timeoutNanos, 1)
    self.lookNanos = max(
      lookNanos ?? min(self.intervalNanos, self.timeoutNanos) / Self.looksMin, 1)
    lookedNanos = nowNanos
  }

  /// Bytes came in: the peer lives, whatever they say. No clock is needed.
  mutating func heard() { hasHeard = true }

  /// Calls began to wait after a time without any: silence counts from here.
  mutating func restart(nowNanos: UInt64) {
    lookedNanos = nowNanos
    live()
  }

  /// One look, after the time that the last one asked for, or later.
  ///
  /// - Parameter unheardNanos: asked only before the peer is abandoned: how long ago the system
  ///   received something from it, read or not; nil where that isn't known.
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
    // The reply is there, behind much else that the loop has to read.
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

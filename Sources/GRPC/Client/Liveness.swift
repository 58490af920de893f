// When to ask a silent peer whether it lives, and when to give it up. Pure: the owner asks it with
// its own clock, sends the PING and closes. All times are nanoseconds of one monotonic clock.

/// Watches one connection for silence.
struct Liveness {
  /// What the owner is to do.
  enum Action: Equatable {
    /// Nothing; ask again at this time.
    case wait(untilNanos: UInt64)
    /// Send a PING; ask again at this time.
    case ping(untilNanos: UInt64)
    /// The peer counts as dead.
    case dead
  }

  let intervalNanos: UInt64
  let timeoutNanos: UInt64
  private var lastHeardNanos: UInt64
  private var pingSentNanos: UInt64?

  init(intervalNanos: UInt64, timeoutNanos: UInt64, nowNanos: UInt64) {
    self.intervalNanos = max(intervalNanos, 1)
    self.timeoutNanos = max(timeoutNanos, 1)
    self.lastHeardNanos = nowNanos
  }

  /// Bytes came in: the peer lives, whatever they say.
  mutating func heard(nowNanos: UInt64) {
    lastHeardNanos = nowNanos
    pingSentNanos = nil
  }

  /// Calls began to wait after a time without any: silence counts from here.
  mutating func restart(nowNanos: UInt64) { heard(nowNanos: nowNanos) }

  /// To be called at the time asked for last, `dueNanos`.
  mutating func check(nowNanos: UInt64, dueNanos: UInt64) -> Action {
    if let sent = pingSentNanos {
      guard nowNanos >= sent &+ timeoutNanos else { return .wait(untilNanos: sent &+ timeoutNanos) }
      // If we ourselves were stopped meanwhile, the answer may lie unread in the socket: such a
      // check comes late, and the peer gets its time once more.
      if nowNanos &- dueNanos > timeoutNanos / 2, nowNanos > dueNanos {
        pingSentNanos = nowNanos
        return .wait(untilNanos: nowNanos &+ timeoutNanos)
      }
      return .dead
    }
    let due = lastHeardNanos &+ intervalNanos
    guard nowNanos >= due else { return .wait(untilNanos: due) }
    pingSentNanos = nowNanos
    return .ping(untilNanos: nowNanos &+ timeoutNanos)
  }
}

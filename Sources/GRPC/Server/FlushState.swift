// When a connection writes its queued output: at the end of the current read, at the end of the
// tick, or again after the current flush.

/// The state of a connection's output.
struct FlushState {
  private enum Phase {
    case idle
    /// Between the first read of a tick and its end: a flush will follow.
    case reading
    case flushing
    /// Something was queued in a flush, after its write.
    case flushingTwice
  }

  private var phase = Phase.idle

  mutating func beginRead() { phase = .reading }

  mutating func endRead() { phase = .idle }

  /// Output was queued. Returns whether a flush must be requested.
  mutating func queued() -> Bool {
    switch phase {
    case .idle: return true
    case .flushing: phase = .flushingTwice
    case .reading, .flushingTwice: break
    }
    return false
  }

  mutating func beginFlush() { phase = .flushing }

  /// What was queued until now is written next.
  mutating func beginWrite() { phase = .flushing }

  /// Returns whether another flush is needed.
  mutating func endFlush() -> Bool {
    defer { phase = .idle }
    return phase == .flushingTwice
  }
}

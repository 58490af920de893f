// The maximum age of a client's connection, and the steps at its end. A value that calls nothing;
// clock and randomness are passed in.
//
// Clients resolve names, and load balancers choose a node, only when a connection is made. So a
// client stays on its node for months, even if nodes are added. An age limit makes it choose again:
// it gets GOAWAY, has time for its calls in progress, and only then is cut off.

/// The age of one connection.
struct ConnectionAge {
  /// The action to take now.
  enum Step {
    case nothing
    /// The connection is old: the client must be notified, and its calls continue.
    case drain
    /// Its calls have had their time.
    case cut
  }

  private var isDraining = false
  /// When the next step is due.
  private var dueNanos: UInt64
  private let graceNanos: UInt64

  /// - Parameters:
  ///   - maxNanos: the age, plus or minus a tenth. Otherwise clients that connected at the same
  ///     moment, after a restart, would always reconnect at the same moment.
  ///   - graceNanos: the time for calls in progress.
  ///   - chance: any number; it decides the age within the two tenths.
  init(maxNanos: UInt64, graceNanos: UInt64, openedNanos: UInt64, chance: UInt64) {
    let tenth = maxNanos / 10
    dueNanos = openedNanos &+ maxNanos &- tenth &+ chance % (2 * tenth + 1)
    self.graceNanos = graceNanos
  }

  /// - Returns: each step once.
  mutating func look(nowNanos: UInt64) -> Step {
    guard nowNanos >= dueNanos else { return .nothing }
    guard isDraining else {
      isDraining = true
      dueNanos = nowNanos &+ graceNanos
      return .drain
    }
    dueNanos = .max
    return .cut
  }
}

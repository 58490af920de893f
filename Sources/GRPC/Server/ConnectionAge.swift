// How old a client's connection may become, and what follows from its age. A value that calls
// nothing; clock and chance are passed in.
//
// Names that lead to several nodes are resolved, and balancers choose a node, when a connection is
// made and not later. So a client stays where it is for months, whatever else has been added. A
// limit of age makes it choose again: it is told to go (GOAWAY), has time for what it has in
// progress, and only then is cut off.

/// The age of one connection.
struct ConnectionAge {
  /// What is to be done now.
  enum Step {
    case nothing
    /// The connection is old: the client is to be told, and its calls continue.
    case drain
    /// Its calls have had their time.
    case cut
  }

  private var isDraining = false
  /// When the next step is due.
  private var dueNanos: UInt64
  private let graceNanos: UInt64

  /// - Parameters:
  ///   - maxNanos: the age, give or take a tenth. Clients that came at one moment, after a restart,
  ///     would all come back at one moment again and again.
  ///   - graceNanos: the time for calls in progress.
  ///   - chance: any number; it decides where within the two tenths the age lies.
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

// Whether a connection is read. NIO asks for each read; one that is kept back is made up for as
// soon as it may be.

/// What keeps a connection from being read.
struct ReadGate {
  /// How often the service has paused reading and not resumed it.
  private var pauses = 0
  /// A read was asked for, and not made.
  private(set) var isHeldBack = false

  /// Whether it is the server that reads nothing.
  var isShut: Bool { pauses > 0 || isHeldBack }

  mutating func pause() { pauses += 1 }

  mutating func resume() { pauses = max(0, pauses - 1) }

  /// NIO wants to read. Returns whether it may.
  ///
  /// - Parameter isBlocked: whether something else stands against it.
  mutating func read(isBlocked: Bool) -> Bool {
    guard pauses == 0, !isBlocked else {
      isHeldBack = true
      return false
    }
    return true
  }

  /// Something may have changed. Returns whether a read is to be made up for.
  mutating func makeUp(isBlocked: Bool) -> Bool {
    guard isHeldBack, pauses == 0, !isBlocked else { return false }
    isHeldBack = false
    return true
  }
}

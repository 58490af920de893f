// Whether a connection is read. NIO requests each read; a read that was held back is made as soon
// as it is allowed.

/// What keeps a connection from being read.
struct ReadGate {
  /// How often the service has paused reading and not resumed it.
  private var pauses = 0
  /// A read was requested, and not made.
  private(set) var isHeldBack = false

  /// Whether it is the server that reads nothing.
  var isShut: Bool { pauses > 0 || isHeldBack }

  mutating func pause() { pauses += 1 }

  mutating func resume() { pauses = max(0, pauses - 1) }

  /// NIO requests a read. Returns whether it may.
  ///
  /// - Parameter isBlocked: whether something else prevents it.
  mutating func read(isBlocked: Bool) -> Bool {
    guard pauses == 0, !isBlocked else {
      isHeldBack = true
      return false
    }
    return true
  }

  /// Something may have changed. Returns whether a held-back read is to be made now.
  mutating func makeUp(isBlocked: Bool) -> Bool {
    guard isHeldBack, pauses == 0, !isBlocked else { return false }
    isHeldBack = false
    return true
  }
}

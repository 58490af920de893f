// Where a link leads, and whether it is being opened at another address.
//
//   settled --another address--> closing --calls have ended, or time is over--> opening
//      ^                            |                                              |
//      +--the former address again--+                    +--the shard serves-------+
//      +-------------------------------------------------+--it is lost, or time is over
//
// While it is closing or opening, new calls wait. A link to a new shard begins as opening. A link
// that isn't ready has no calls: it is dialed at the other address at once.
//
// Pure; part of a router's core.

struct LinkAddress {
  /// What is to be done about a link.
  enum Step {
    case nothing
    /// Its calls in progress continue, and new ones wait until they have ended.
    case close
    /// It is closed, and dialed at its address.
    case redial
    /// Calls need not wait any more.
    case resume
  }

  /// The shard's address.
  private(set) var current: String
  /// The address with which the connections were dialed.
  private var dialed = ""
  /// Until when new calls wait; nil: they don't. `.max`: until the link is ready or has failed.
  private var untilNanos: UInt64?

  init(_ address: String) {
    current = address
  }

  /// Whether the connections lead elsewhere.
  var isElsewhere: Bool { dialed != current }

  /// Whether new calls wait.
  var isMoving: Bool { untilNanos != nil }

  /// When the wait is over, at the latest.
  var dueNanos: UInt64? { untilNanos == UInt64.max ? nil : untilNanos }

  mutating func change(to address: String) { current = address }

  /// An attempt to connect begins. Returns the address to dial.
  mutating func dial() -> String {
    dialed = current
    return current
  }

  /// New calls wait from now on, or longer than before.
  mutating func wait(untilNanos: UInt64) {
    if self.untilNanos != UInt64.max { self.untilNanos = untilNanos }
  }

  mutating func stopWaiting() { untilNanos = nil }

  /// The next step.
  ///
  /// - Parameters:
  ///   - isIdle: whether no calls are in progress.
  ///   - isServing: whether the shard serves over the connections.
  func next(_ phase: LinkState.Phase, isIdle: Bool, isServing: Bool) -> Step {
    switch phase {
    case .waiting, .draining: return .nothing
    case .connecting, .greeting: return isElsewhere ? .redial : .nothing
    case .ready:
      if isElsewhere { return isIdle ? .redial : .close }
      return isMoving && isServing ? .resume : .nothing
    }
  }

  /// The step when the wait has taken too long.
  var overdueStep: Step { isElsewhere ? .redial : .resume }
}

// What a link counts of its calls beside its lanes: calls that are in flight on no lane, memory of
// those that wait, and what became of all. Pure; part of a router's core.

struct LinkCalls {
  /// Memory of the calls that wait for space or for their order.
  private(set) var waitingBytes = 0
  /// Calls whose chunked replies have begun.
  private var replying = 0
  /// Calls that wait for values at the shard.
  private var parked = 0
  /// Calls whose final reply was an error or a return, or never arrived.
  private(set) var failed = 0

  /// Whether no reply is outstanding. A call that waits for a value gets one later, perhaps over
  /// another link.
  var isIdle: Bool { replying == 0 }

  /// Calls that are in progress here, and on no lane.
  var open: Int { replying + parked }

  mutating func waits(bytes: Int) { waitingBytes += bytes }
  mutating func waitEnded(bytes: Int) { waitingBytes -= bytes }

  mutating func beganReply() { replying += 1 }
  mutating func endedReply() { replying -= 1 }

  mutating func beganWait() { parked += 1 }
  mutating func endedWait() { parked -= 1 }

  mutating func callFailed() { failed += 1 }

  /// The link is lost, with so many calls on its lanes.
  mutating func lost(onLanes count: Int) {
    failed += count + open
    replying = 0
    parked = 0
  }
}

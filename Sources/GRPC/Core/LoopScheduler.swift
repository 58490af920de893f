// The tick's clock of an event loop, and work that waits for a later turn. On its event loop; one
// instance per loop.
//
// Turns. Work without end (a large reply on its way to a fast reader, a scan in slices) must let
// the loop look at its sockets in between. NIO does so only when no task is ready: neither a chain
// of `execute`, nor two chains of short timers that run in each other's pauses, ever lets it. So
// there is one chain for the whole loop, here:
//   1. All that waits for a turn waits in one queue; one timer is armed at a time, after a turn's
//      work is done and what it wrote was flushed: a flush takes longer than the timer, which would
//      be due before the loop gets to its sockets.
//   2. A turn ends once its time is used up; the rest of the queue is left to the next.
//   3. A turn that begins late may have been held up by tasks, with no look at the sockets before
//      it. It is put off once; no turn runs meanwhile, so the loop gets to its sockets.
//
// in this file: the tick's time is asked for by every call, on the loop
// alone.

import NIOCore

package final class LoopScheduler {
  /// The time from one turn to the next: long enough that the loop finds nothing ready in it.
  static let turnPause = TimeAmount.microseconds(20)
  /// A turn that begins this much too late is put off once.
  static let latenessNanosMax: UInt64 = 20_000
  /// What one turn, or one tick's flushes, may take before the rest has to wait for the next turn;
  /// looked at after each piece of work, or each few flushes.
  static let turnNanosMax: UInt64 = 500_000

  package let eventLoop: any EventLoop
  /// What the loop counts.
  package let meter = LoopMeter()
  private var work = CircularBuffer<() -> Void>()
  private var turnDueNanos: UInt64?
  private var wasPutOff = false
  private var tickNanosRead: UInt64 = 0

  package init(eventLoop: any EventLoop) { self.eventLoop = eventLoop }

  // MARK: - Time

  /// The loop's clock.
  var nowNanos: UInt64 { eventLoop.now.uptimeNanoseconds }

  /// The time of the tick, on the loop's clock: read once, when it is asked for first.
  @inline(__always)
  package var tickNanos: UInt64 {
    if tickNanosRead == 0 { tickNanosRead = nowNanos }
    return tickNanosRead
  }

  /// A tick begins: something was read, a turn or the end of the tick before has come.
  @inline(__always)
  package func beginTick() {
    tickNanosRead = 0
    meter.ticks &+= 1
  }

  /// What was executed in this tick has been answered and written.
  @inline(__always)
  package func settleCalls() {
    if let calls = meter.calls, calls.isPending { calls.settle(nowNanos: nowNanos) }
  }

  // MARK: - Turns

  /// Runs `work` in a later turn: after the loop has looked at its sockets, and after all that
  /// waits for a turn already. Never from within. Several may run in one turn while they are short;
  /// none should take more than about half a millisecond. O(1).
  package func yieldThenRun(_ work: @escaping () -> Void) {
    self.work.append(work)
    if turnDueNanos == nil { arm() }
  }

  /// Whether anything waits for a turn. For tests, whose clock moves only when it is told to.
  package var hasTurns: Bool { !work.isEmpty }

  private func arm() {
    let due = eventLoop.now + Self.turnPause
    turnDueNanos = due.uptimeNanoseconds
    eventLoop.assumeIsolated().scheduleTask(deadline: due) { self.turn() }
  }

  private func turn() {
    guard let due = turnDueNanos else { return }
    beginTick()
    let begun = nowNanos
    if !wasPutOff, begun > due &+ Self.latenessNanosMax {
      wasPutOff = true
      meter.lateTurns &+= 1
      return arm()
    }
    wasPutOff = false
    // What is added by this turn's work belongs to a later one.
    for _ in 0..<work.count {
      work.removeFirst()()
      meter.turns &+= 1
      if nowNanos &- begun > Self.turnNanosMax { break }
    }
    settleCalls()
    guard !work.isEmpty else {
      turnDueNanos = nil
      return
    }
    turnDueNanos = .max
    eventLoop.assumeIsolated().execute { self.arm() }
  }
}

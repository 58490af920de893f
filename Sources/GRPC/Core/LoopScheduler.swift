// The tick's clock of an event loop, and work that waits for a later turn. On its event loop; one
// instance per loop.
//
// Turns. Long work (a large reply to a fast reader, a scan in slices) must let the loop poll its
// sockets in between. NIO does so only when no task is ready: neither a chain of `execute`, nor two
// chains of short timers that run in each other's pauses, ever lets it. So there is one chain for
// the whole loop, here:
//   1. All work that waits for a turn is in one queue; one timer is set at a time, after a turn's
//      work is done and its output was flushed: a flush takes longer than the timer, which would be
//      due before the loop polls its sockets.
//   2. A turn ends when its time is used up; the rest of the queue waits for the next.
//   3. A turn that begins late may have been delayed by tasks, without a poll of the sockets before
//      it. It is postponed once; no turn runs meanwhile, so the loop polls its sockets.

import NIOCore

@usableFromInline
package final class LoopScheduler {
  /// The time from one turn to the next: long enough that the loop finds nothing ready in it.
  static let turnPause = TimeAmount.microseconds(20)
  /// A turn that begins this much too late is put off once.
  static let latenessNanosMax: UInt64 = 20_000
  /// The time of one turn, or of one tick's flushes, after which the rest must wait for the next
  /// turn; checked after each part of work, or every few flushes.
  static let turnNanosMax: UInt64 = 500_000

  package let eventLoop: any EventLoop
  /// What the loop counts.
  package let meter = LoopMeter()
  private var work = CircularBuffer<() -> Void>()
  private var turnDueNanos: UInt64?
  private var wasPutOff = false
  /// The tick's time; 0: not read yet.
  @usableFromInline
  package private(set) var tickNanosRead: UInt64 = 0

  package init(eventLoop: any EventLoop) { self.eventLoop = eventLoop }

  // MARK: - Time

  /// The loop's clock.
  var nowNanos: UInt64 { eventLoop.now.uptimeNanoseconds }

  /// The time of the tick, on the loop's clock: read once, on first use. Inlined into other rooms,
  /// because around a call they would count references.
  @inlinable
  package var tickNanos: UInt64 {
    let read = tickNanosRead
    return read != 0 ? read : readTick()
  }

  @inline(never)
  @usableFromInline
  package func readTick() -> UInt64 {
    tickNanosRead = nowNanos
    return tickNanosRead
  }

  /// A tick begins: with a read, a turn, or the end of the previous tick.
  @inline(__always)
  package func beginTick() {
    tickNanosRead = 0
    meter.ticks &+= 1
  }

  /// The replies of this tick's calls have been written.
  @inline(__always)
  package func commitCalls() {
    if let calls = meter.calls, calls.isPending { calls.commit(nowNanos: nowNanos) }
  }

  // MARK: - Turns

  /// Runs `work` in a later turn: after the loop has polled its sockets, and after all work that
  /// already waits. Never inside this call. Several may run in one turn while they are short; none
  /// should take more than about half a millisecond. O(1).
  package func yieldThenRun(_ work: @escaping () -> Void) {
    self.work.append(work)
    if turnDueNanos == nil { arm() }
  }

  /// Whether anything waits for a turn. For tests, whose clock moves only on command.
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
    commitCalls()
    guard !work.isEmpty else {
      turnDueNanos = nil
      return
    }
    turnDueNanos = .max
    eventLoop.assumeIsolated().execute { self.arm() }
  }
}

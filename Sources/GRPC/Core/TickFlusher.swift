// One flush per connection and tick, and work that waits for its turn. Whoever makes output marks
// its connection; after the events of this tick have run, each marked connection flushes once, with
// one write. Lives on its event loop; one instance per loop.
//
// Turns. Work without end (a large answer on its way to a fast reader, a scan in slices) must let
// the loop look at its sockets in between. NIO does so only when no task is ready: neither a chain
// of `execute`, nor two chains of short timers that run in each other's pauses, ever lets it. So
// there is one chain for the whole loop, here:
//   1. All that waits for a turn waits in one queue; one timer is armed at a time, after a turn's
//      work is done and what it wrote was flushed: a flush takes longer than the timer, which would
//      be due before the loop gets to its sockets.
//   2. A turn ends once its time is used up; the rest of the queue is left to the next.
//   3. A turn that begins late may have been held up by tasks, with no look at the sockets before
//      it. It is put off once; nothing of ours runs meanwhile, so the loop gets to its sockets.

import NIOCore

/// Something that gathers output and can write it out.
package protocol Flushable: AnyObject {
  /// Writes out everything gathered. Called on the event loop.
  func flushNow()
  /// Kept by the target for the flusher, so that marking costs no search.
  var isMarkedDirty: Bool { get set }
}

/// Gathers the targets that became dirty in this tick and flushes each once at its end; runs other
/// work in turns between which the loop serves its sockets.
package final class TickFlusher {
  private enum Turn {
    case flush(any Flushable)
    case work(() -> Void)
  }

  /// The time from one turn to the next: long enough that the loop finds nothing ready in it.
  static let turnPause = TimeAmount.microseconds(20)
  /// A turn that begins this much too late is put off once.
  static let latenessNanosMax: UInt64 = 20_000
  /// What one turn, or one tick's flushes, may take before the rest has to wait for the next turn;
  /// looked at after each piece of work, or each few flushes.
  static let turnNanosMax: UInt64 = 500_000

  package let eventLoop: any EventLoop
  @exclusivity(unchecked) private var dirty: [any Flushable] = []
  @exclusivity(unchecked) private var flushing: [any Flushable] = []
  private var turns = CircularBuffer<Turn>()
  private var turnDueNanos: UInt64?
  private var wasPutOff = false
  @exclusivity(unchecked) private var tickNanosRead: UInt64 = 0

  package init(eventLoop: any EventLoop) { self.eventLoop = eventLoop }

  /// The time of the tick, on the loop's clock: read once, when it is asked for first.
  @inline(__always)
  package var tickNanos: UInt64 {
    if tickNanosRead == 0 { tickNanosRead = nowNanos }
    return tickNanosRead
  }

  /// A tick begins: something was read, a turn or the end of the tick before has come.
  @inline(__always)
  package func beginTick() { tickNanosRead = 0 }

  /// Has `target` flushed at the end of this tick. O(1); on the event loop only.
  package func markDirty(_ target: any Flushable) {
    guard !target.isMarkedDirty else { return }
    target.isMarkedDirty = true
    dirty.append(target)
    // Only the first mark schedules; marks set while flushing belong to the next tick.
    if dirty.count == 1 { eventLoop.assumeIsolated().execute { self.flushAll() } }
  }

  /// Has `target` flushed in a later turn, because it has just written as much as one may write at
  /// once. `markDirty` does nothing meanwhile. O(1).
  package func markDirtyForNextTurn(_ target: any Flushable) {
    guard !target.isMarkedDirty else { return }
    target.isMarkedDirty = true
    enqueue(.flush(target))
  }

  /// Runs `work` in a later turn: after the loop has looked at its sockets, and after all that waits
  /// for a turn already. Never from within. Several may run in one turn while they are short; none
  /// should take more than about half a millisecond. O(1).
  package func yieldThenRun(_ work: @escaping () -> Void) {
    enqueue(.work(work))
  }

  /// Whether anything waits for a turn. For tests, whose clock moves only when it is told to.
  package var hasTurns: Bool { !turns.isEmpty }

  private func flushAll() {
    beginTick()
    swap(&dirty, &flushing)
    // The clock is looked at only when there are many.
    let begunNanos = flushing.count > Self.flushesPerLook ? nowNanos : 0
    var index = 0
    while index < flushing.count {
      let target = flushing[index]
      index += 1
      target.isMarkedDirty = false
      target.flushNow()
      if index % Self.flushesPerLook == 0, index < flushing.count,
        nowNanos &- begunNanos > Self.turnNanosMax
      {
        break
      }
    }
    // These stay marked.
    for target in flushing[index...] { enqueue(.flush(target)) }
    flushing.removeAll(keepingCapacity: true)
  }

  private static let flushesPerLook = 16

  // MARK: - Turns

  private var nowNanos: UInt64 { eventLoop.now.uptimeNanoseconds }

  private func enqueue(_ turn: Turn) {
    turns.append(turn)
    if turnDueNanos == nil { arm() }
  }

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
      return arm()
    }
    wasPutOff = false
    // What is added by this turn's work belongs to a later one.
    for _ in 0..<turns.count {
      switch turns.removeFirst() {
      case .flush(let target):
        target.isMarkedDirty = false
        target.flushNow()
      case .work(let work):
        work()
      }
      if nowNanos &- begun > Self.turnNanosMax { break }
    }
    guard !turns.isEmpty else {
      turnDueNanos = nil
      return
    }
    turnDueNanos = .max
    eventLoop.assumeIsolated().execute { self.arm() }
  }
}

// One flush per connection and tick. What makes output marks its connection; after the events of
// this tick have run, each marked connection flushes once, with one write. On its event loop; one
// instance per loop.
//
// Output may have to wait until something else is written: a log with the changes that the output
// reveals. The log's writer is flushed first; it calls `hold`, and `release` when everything is
// written. Connections check `isHeld` before they write, and are flushed again later instead.

import NIOCore

/// An object that collects output and can write it.
package protocol Flushable: AnyObject {
  /// Writes all collected output. Called on the event loop.
  func flushNow()
  /// Kept by the target for the coalescer, so that marking costs no search.
  var isMarkedDirty: Bool { get set }
}

package final class FlushCoalescer {
  /// The loop's: two on one loop could starve the sockets between them.
  package let scheduler: LoopScheduler
  private var dirty: [any Flushable] = []
  private var flushing: [any Flushable] = []
  /// Whether no connection may write.
  package private(set) var isHeld = false
  /// Flushed before everything else, even while output is held.
  private var first: (any Flushable)?
  private var isScheduled = false

  package init(_ scheduler: LoopScheduler) { self.scheduler = scheduler }

  package convenience init(eventLoop: any EventLoop) {
    self.init(LoopScheduler(eventLoop: eventLoop))
  }

  /// Flushes `target` at the end of this tick. O(1); on the event loop only.
  package func markDirty(_ target: any Flushable) {
    guard !target.isMarkedDirty else { return }
    target.isMarkedDirty = true
    dirty.append(target)
    schedule()
  }

  /// Flushes `target` at the end of this tick before everything else. A loop has at most one such
  /// target.
  package func markFirst(_ target: any Flushable) {
    first = target
    schedule()
  }

  /// No connection writes before `release`.
  package func hold() { isHeld = true }

  /// Held output may be sent.
  package func release() {
    guard isHeld else { return }
    isHeld = false
    if !dirty.isEmpty { schedule() }
  }

  private func schedule() {
    // Marks set while flushing belong to the next tick.
    guard !isScheduled else { return }
    isScheduled = true
    scheduler.eventLoop.assumeIsolated().execute { self.flushAll() }
  }

  /// Has `target` flushed in a later turn, because it has just written as much as one may write at
  /// once. `markDirty` does nothing meanwhile. O(1).
  package func markDirtyForNextTurn(_ target: any Flushable) {
    guard !target.isMarkedDirty else { return }
    target.isMarkedDirty = true
    flushInTurn(target)
  }

  private func flushInTurn(_ target: any Flushable) {
    scheduler.yieldThenRun {
      target.isMarkedDirty = false
      target.flushNow()
    }
  }

  private func flushAll() {
    scheduler.beginTick()
    if let first {
      self.first = nil
      first.flushNow()
    }
    isScheduled = false
    // The release has it called again.
    if isHeld { return }
    swap(&dirty, &flushing)
    // The clock is looked at only when there are many.
    let begunNanos = flushing.count > Self.flushesPerLook ? scheduler.nowNanos : 0
    var index = 0
    while index < flushing.count {
      let target = flushing[index]
      index += 1
      target.isMarkedDirty = false
      target.flushNow()
      if index % Self.flushesPerLook == 0, index < flushing.count,
        scheduler.nowNanos &- begunNanos > LoopScheduler.turnNanosMax
      {
        break
      }
    }
    // These stay marked.
    for target in flushing[index...] { flushInTurn(target) }
    flushing.removeAll(keepingCapacity: true)
    scheduler.commitCalls()
  }

  private static let flushesPerLook = 16
}

// One flush per connection and tick. Whoever produces output marks its connection; after the events
// of this tick have run, each marked connection flushes once, with one write. Lives on its event
// loop, one instance per loop.

import NIOCore

/// Something that gathers output and can write it out.
package protocol Flushable: AnyObject {
  /// Writes out everything gathered. Called on the event loop.
  func flushNow()
  /// Kept by the target for the flusher, so that marking costs no search.
  var isMarkedDirty: Bool { get set }
}

/// Gathers the targets that became dirty in this tick and flushes each once at its end.
package final class TickFlusher {
  package let eventLoop: any EventLoop
  @exclusivity(unchecked) private var dirty: [any Flushable] = []
  @exclusivity(unchecked) private var flushing: [any Flushable] = []

  package init(eventLoop: any EventLoop) { self.eventLoop = eventLoop }

  /// Has `target` flushed at the end of this tick. O(1); on the event loop only.
  package func markDirty(_ target: any Flushable) {
    guard !target.isMarkedDirty else { return }
    target.isMarkedDirty = true
    dirty.append(target)
    // Only the first mark schedules; marks set while flushing belong to the next tick.
    if dirty.count == 1 { eventLoop.assumeIsolated().execute { self.flushAll() } }
  }

  private func flushAll() {
    swap(&dirty, &flushing)
    for target in flushing {
      target.isMarkedDirty = false
      target.flushNow()
    }
    flushing.removeAll(keepingCapacity: true)
  }
}

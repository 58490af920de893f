// The queue of work that may take long: slices of fan-outs, chunks of large replies and of streams,
// memory to be freed. The loop runs one turn, polls its sockets, runs the next; so no work blocks
// it for longer than a slice, and long work goes to the back of the queue each time.
//
// The queue belongs to one shard's core, on its event loop. It keeps its items alive; an item with
// nothing left to do is skipped.

import NIOCore

/// What became of a turn.
package enum Turn {
  /// There was nothing to do. The next item of the queue gets the turn.
  case unused
  /// The work is done, or waits for something that will put it into the queue again.
  case used
  /// There is more to do: at the back of the queue.
  case more
}

/// An item whose work is done turn by turn.
protocol CooperativeTask: AnyObject {
  /// Kept by the queue.
  var isQueued: Bool { get set }
  /// Does one bounded piece of work.
  func runSlice() -> Turn
}

struct CooperativeQueue {
  private var waiting = CircularBuffer<any CooperativeTask>()

  var isEmpty: Bool { waiting.isEmpty }

  /// Puts an item at the back of the queue, unless it is already in it. O(1).
  mutating func enqueue(_ taker: any CooperativeTask) {
    guard !taker.isQueued else { return }
    taker.isQueued = true
    waiting.append(taker)
  }

  /// Takes the one at the front out of the queue. O(1).
  mutating func next() -> (any CooperativeTask)? {
    guard let taker = waiting.popFirst() else { return nil }
    taker.isQueued = false
    return taker
  }
}

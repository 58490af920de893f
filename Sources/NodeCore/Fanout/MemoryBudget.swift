// The memory of one event loop's operations: requests that they keep, replies that they build, and
// large replies in flight to clients. One limit for all of them, so that many concurrent large
// replies, or clients that don't read theirs, can't use up the node's memory.
//
// Owned by the loop's core or parts; one event loop.

package final class MemoryBudget {
  package private(set) var heldBytes = 0
  private let bytesMax: Int

  package init(bytesMax: Int) {
    self.bytesMax = bytesMax
  }

  /// Updates a holder's bytes. Returns false, and changes nothing, if it would hold more and the
  /// limit is exceeded; a single holder may exceed it. O(1).
  package func change(from before: Int, to now: Int) -> Bool {
    let others = heldBytes - before
    if now > before, others > 0, others + now > bytesMax { return false }
    heldBytes = others + now
    return true
  }

  /// Counts a reply that is ready until the returned object goes.
  package func hold(_ byteCount: Int) -> AnyObject {
    heldBytes += byteCount
    return Hold(self, byteCount)
  }

  /// The same, but returns nil and counts nothing if it would exceed the limit together with
  /// others.
  package func holdIfRoom(_ byteCount: Int) -> AnyObject? {
    heldBytes > 0 && heldBytes + byteCount > bytesMax ? nil : hold(byteCount)
  }

  private final class Hold {
    private let memory: MemoryBudget
    private let byteCount: Int

    init(_ memory: MemoryBudget, _ byteCount: Int) {
      self.memory = memory
      self.byteCount = byteCount
    }

    deinit { memory.heldBytes -= byteCount }
  }
}

// The memory that operations of one event loop hold: requests they keep, answers they build, and
// large replies on their way to clients. One bound for all of them, so that many large replies at a
// time, or clients that don't read theirs, can't use up the node's memory.
//
// Owned by the loop's core or parts; one event loop.

package final class MemoryBudget {
  package private(set) var heldBytes = 0
  private let bytesMax: Int

  package init(bytesMax: Int) {
    self.bytesMax = bytesMax
  }

  /// Counts what a holder holds now instead of before. Returns false, and changes nothing, where it
  /// would hold more and the bound is passed; a holder that is alone may pass it. O(1).
  package func change(from before: Int, to now: Int) -> Bool {
    let others = heldBytes - before
    if now > before, others > 0, others + now > bytesMax { return false }
    heldBytes = others + now
    return true
  }

  /// Counts a reply that is ready until the returned object goes.
  package func hold(_ byteCount: Int) -> AnyObject {
    heldBytes += byteCount
    return Holding(self, byteCount)
  }

  /// The same, but nil, and nothing is counted, where others hold so much that it would pass the
  /// bound.
  package func holdIfRoom(_ byteCount: Int) -> AnyObject? {
    heldBytes > 0 && heldBytes + byteCount > bytesMax ? nil : hold(byteCount)
  }

  private final class Holding {
    private let memory: MemoryBudget
    private let byteCount: Int

    init(_ memory: MemoryBudget, _ byteCount: Int) {
      self.memory = memory
      self.byteCount = byteCount
    }

    deinit { memory.heldBytes -= byteCount }
  }
}

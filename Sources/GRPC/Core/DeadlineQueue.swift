// Deadlines of many calls behind one timer. A binary heap of slot numbers ordered by deadline; each
// slot knows its place in the heap, so a call that ends early is removed at once and the queue
// never has more entries than open calls. Pure; the owner passes the time of its own clock.
//
// Invariants: slots[heap[i]].position == i for every i; a free slot's token is nil.

/// A priority queue of (deadline, token) with removal.
@usableFromInline
package struct DeadlineQueue<Token> {
  /// Names one entry. A stale handle is recognised and ignored.
  package struct Handle: Sendable, Hashable {
    fileprivate let slot: Int
    fileprivate let generation: UInt32
  }

  private struct Slot {
    var deadlineNanos: UInt64
    var token: Token?
    var position: Int
    var generation: UInt32
  }

  private var slots: [Slot] = []
  private var free: [Int] = []
  @usableFromInline private(set) var heap: [Int] = []

  package init() {}

  /// Entries in the queue.
  package var count: Int { heap.count }

  /// Whether the queue is empty.
  @inlinable
  package var isEmpty: Bool { heap.isEmpty }

  /// The earliest deadline, in nanoseconds of the owner's clock. O(1).
  package var nextDeadlineNanos: UInt64? { heap.first.map { slots[$0].deadlineNanos } }

  /// Adds an entry. O(log n).
  @discardableResult
  package mutating func insert(deadlineNanos: UInt64, _ token: Token) -> Handle {
    let slot: Int
    if let reused = free.popLast() {
      slot = reused
      slots[slot].deadlineNanos = deadlineNanos
      slots[slot].token = token
    } else {
      slot = slots.count
      slots.append(
        Slot(deadlineNanos: deadlineNanos, token: token, position: 0, generation: 0))
    }
    slots[slot].position = heap.count
    heap.append(slot)
    siftUp(heap.count - 1)
    return Handle(slot: slot, generation: slots[slot].generation)
  }

  /// Removes the entry and returns its token; nil if it was already removed. O(log n).
  @discardableResult
  package mutating func remove(_ handle: Handle) -> Token? {
    guard handle.slot < slots.count, slots[handle.slot].generation == handle.generation,
      slots[handle.slot].token != nil
    else { return nil }
    return removeAt(slots[handle.slot].position)
  }

  /// Removes and returns the earliest entry if its deadline is at or before `nowNanos`. O(log n).
  package mutating func popExpired(nowNanos: UInt64) -> Token? {
    guard let first = heap.first, slots[first].deadlineNanos <= nowNanos else { return nil }
    return removeAt(0)
  }

  private mutating func removeAt(_ position: Int) -> Token? {
    let slot = heap[position]
    let token = slots[slot].token
    slots[slot].token = nil
    slots[slot].generation &+= 1
    free.append(slot)
    let last = heap.removeLast()
    if position < heap.count {
      heap[position] = last
      slots[last].position = position
      siftDown(position)
      siftUp(slots[last].position)
    }
    return token
  }

  private mutating func siftUp(_ start: Int) {
    var position = start
    while position > 0 {
      let parent = (position - 1) / 2
      guard deadline(position) < deadline(parent) else { return }
      exchange(position, parent)
      position = parent
    }
  }

  private mutating func siftDown(_ start: Int) {
    var position = start
    while true {
      let left = 2 * position + 1
      guard left < heap.count else { return }
      let right = left + 1
      let child = right < heap.count && deadline(right) < deadline(left) ? right : left
      guard deadline(child) < deadline(position) else { return }
      exchange(position, child)
      position = child
    }
  }

  private func deadline(_ position: Int) -> UInt64 { slots[heap[position]].deadlineNanos }

  private mutating func exchange(_ first: Int, _ second: Int) {
    heap.swapAt(first, second)
    slots[heap[first]].position = first
    slots[heap[second]].position = second
  }
}

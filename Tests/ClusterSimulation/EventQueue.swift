// Virtual time: what is to happen, in order. Things due at the same moment happen in the order in
// which they were planned, so a run is the same every time.
//
// Owns the actions planned. One thread.

package struct EventQueue {
  private struct Event {
    let dueNanos: UInt64
    let number: UInt64
    let action: () -> Void

    func comes(before other: Event) -> Bool {
      (dueNanos, number) < (other.dueNanos, other.number)
    }
  }

  /// A binary heap.
  private var heap: [Event] = []
  private var numbers: UInt64 = 0

  /// When the next event is due.
  package var nextNanos: UInt64? { heap.first?.dueNanos }

  package init() {}

  package mutating func add(dueNanos: UInt64, _ action: @escaping () -> Void) {
    numbers += 1
    heap.append(Event(dueNanos: dueNanos, number: numbers, action: action))
    var place = heap.count - 1
    while place > 0, heap[place].comes(before: heap[(place - 1) / 2]) {
      heap.swapAt(place, (place - 1) / 2)
      place = (place - 1) / 2
    }
  }

  /// Takes the event that is due first.
  package mutating func popFirst() -> (dueNanos: UInt64, action: () -> Void)? {
    guard let first = heap.first, let last = heap.popLast() else { return nil }
    if !heap.isEmpty {
      heap[0] = last
      siftDown()
    }
    return (first.dueNanos, first.action)
  }

  private mutating func siftDown() {
    var place = 0
    while true {
      var least = place
      for child in [2 * place + 1, 2 * place + 2]
      where child < heap.count && heap[child].comes(before: heap[least]) {
        least = child
      }
      guard least != place else { return }
      heap.swapAt(place, least)
      place = least
    }
  }
}

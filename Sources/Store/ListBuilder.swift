// A list that is built one element at a time, in several calls, before its key exists.
//
// Lives on the thread of the store.

extension Store {
  /// Collects the elements of one list after another: `install` takes the list, and the builder is
  /// empty again.
  package final class ListBuilder {
    private let heap: Heap
    private var list: List?
    /// Collected elements.
    package private(set) var count = 0

    init(heap: Heap) { self.heap = heap }

    deinit { removeAll() }

    /// Adds an element of at most `valueBytesMax` bytes at the tail.
    package func append(_ value: UnsafeRawBufferPointer) {
      precondition(value.count <= Store.valueBytesMax)
      var list = list ?? List(on: heap)
      list.push(value, at: .tail, heap: heap)
      self.list = list
      count += 1
    }

    /// Drops the collected elements. O(chunks).
    package func removeAll() {
      var budget = Int.max
      guard let list = take() else { return }
      var detached = DetachedList(list, keptFor: nil)
      _ = detached.free(heap, budget: &budget)
    }

    /// The list, which is the caller's then.
    func take() -> List? {
      defer { (list, count) = (nil, 0) }
      return list
    }
  }

  /// An empty one, for lists of this store.
  package func makeListBuilder() -> ListBuilder { ListBuilder(heap: heap) }
}

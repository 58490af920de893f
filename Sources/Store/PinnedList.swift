// A whole list as it was at one moment: held where it lies, not copied.
//
// May outlive the key and the store, but not the thread: it is released where it was made. What it
// hands out may be read on another thread meanwhile.

extension Store {
  /// All elements of a list, held.
  package final class PinnedList {
    private let view: ListView

    init(_ list: List, version: UInt64, heap: Heap) {
      view = ListView(list, 0..<list.count, version: version, heap: heap)
    }

    package var count: Int { view.count }
    /// Version of the key when the list was pinned.
    package var version: UInt64 { view.version }
    /// Bytes of all elements together. O(chunks).
    package var byteCount: Int { view.byteCount }

    /// Hands over the elements from `index` on, in order, until `body` says false. The bytes are
    /// good as long as this object lives. O(log chunks) for the first, then O(1) an element.
    /// - Returns: the index behind the last element handed over.
    @discardableResult
    package func forEach(
      from index: Int = 0, _ body: (UnsafeRawBufferPointer) throws -> Bool
    ) rethrows -> Int {
      try view.forEach(from: index, body)
    }
  }
}

// A range of a list at one moment. The view holds the chunks; nothing is copied, and later writes
// to the list don't affect it.
//
// Made by Store.range; it may outlive the key and the store, but must be released on the thread on
// which it was made, because the chunks' counts are not atomic.

extension Store {
  /// A snapshot of a range of a list. It holds whole chunks; those that the list has released count
  /// in `Store.pinnedBytes` until their last view is released. Its directory, 24 bytes a chunk,
  /// counts in `Store.usedBytes` as long as it exists. O(chunks) to make and to release.
  package final class ListView {
    /// Number of elements in the view.
    package let count: Int
    /// Index in the list of the view's first element, from 0; the list's length if the range begins
    /// after the end. For a reversed view the highest index.
    package let firstIndex: Int
    /// Length of the whole list when the view was made.
    package let length: Int
    /// Bytes of the view's elements together.
    package let byteCount: Int
    /// Version of the key when the view was made.
    package let version: UInt64

    /// Whether the elements come from the last to the first.
    private let isReversed: Bool
    private let heap: Heap
    private let pieces: UnsafeMutablePointer<Piece>
    private let pieceCount: Int

    /// - Parameter range: indices of the list; if it is empty, `firstIndex` is its bound.
    init(
      _ list: List, _ range: Range<Int>, isReversed: Bool = false, version: UInt64, heap: Heap
    ) {
      count = range.count
      firstIndex = isReversed ? max(0, range.upperBound - 1) : range.lowerBound
      self.isReversed = isReversed
      length = list.count
      self.version = version
      self.heap = heap
      guard !range.isEmpty else {
        pieceCount = 0
        byteCount = 0
        pieces = heap.allocate(8).assumingMemoryBound(to: Piece.self)
        return
      }
      let first = list.first + range.lowerBound
      let end = list.first + range.upperBound
      let place = list.place(of: first)
      pieceCount = list.place(of: end - 1) - place + 1
      pieces = heap.allocate(ListView.blockBytes(pieceCount))
        .bindMemory(to: Piece.self, capacity: pieceCount)
      var bytes = 0
      for index in 0..<pieceCount {
        var piece = list.piece(place + index).pointee
        if piece.end > end { piece.dropLast(piece.end - end) }
        if piece.first < first { piece.dropFirst(first - piece.first) }
        piece.chunk.retain()
        bytes += piece.byteCount
        (pieces + index).initialize(to: piece)
      }
      byteCount = bytes
    }

    deinit {
      for index in 0..<pieceCount { pieces[index].chunk.release(heap) }
      heap.free(pieces, ListView.blockBytes(pieceCount))
    }

    private static func blockBytes(_ pieceCount: Int) -> Int {
      max(8, pieceCount * MemoryLayout<Piece>.stride)
    }

    /// Passes the elements from `offset` on (counted from the view's first), in order, until `body`
    /// returns false. The bytes are valid as long as the view exists. O(log chunks) to find the
    /// first, then O(1) an element.
    /// - Returns: the offset after the last passed element.
    @discardableResult
    package func forEach(
      from offset: Int = 0, _ body: (UnsafeRawBufferPointer) throws -> Bool
    ) rethrows -> Int {
      guard offset < count else { return count }
      if isReversed { return try forEachReversed(from: max(0, offset), body) }
      var position = pieces[0].first + max(0, offset)
      for index in place(of: position)..<pieceCount {
        let piece = pieces[index]
        while position < piece.end {
          let continues = try body(piece.element(at: position))
          position += 1
          if !continues { return position - pieces[0].first }
        }
      }
      return count
    }

    private func forEachReversed(
      from offset: Int, _ body: (UnsafeRawBufferPointer) throws -> Bool
    ) rethrows -> Int {
      let last = pieces[0].first + count - 1
      var position = last - offset
      for index in stride(from: place(of: position), through: 0, by: -1) {
        let piece = pieces[index]
        while position >= piece.first {
          let continues = try body(piece.element(at: position))
          position -= 1
          if !continues { return last - position }
        }
      }
      return count
    }

    /// The element at `offset`, counted from the view's first: 0 ..< count. The bytes are valid as
    /// long as the view exists. O(log chunks).
    package func element(at offset: Int) -> UnsafeRawBufferPointer {
      precondition(offset >= 0 && offset < count)
      let position = pieces[0].first + (isReversed ? count - 1 - offset : offset)
      return pieces[place(of: position)].element(at: position)
    }

    private func place(of position: Int) -> Int {
      var low = 0
      var high = pieceCount - 1
      while low < high {
        let middle = (low + high + 1) / 2
        if pieces[middle].first <= position { low = middle } else { high = middle - 1 }
      }
      return low
    }
  }
}

// Changes of a list that are not pushes or pops: an element set, inserted or removed by its index,
// and many elements released at an end.
//
// Elements in a chunk never change, so the affected pieces are rewritten (PieceWriter) and replace
// the old ones; their neighbours stay. The cost is that of the written pieces, at most 16 KiB of
// elements each, plus 24 bytes for each piece of the list if the number of pieces changes.

extension List {
  /// The element at an index, 0 ..< count. O(log chunks).
  func element(at index: Int) -> UnsafeRawBufferPointer {
    let position = first + index
    return piece(place(of: position)).pointee.element(at: position)
  }

  /// The chunk that holds it.
  func chunk(at index: Int) -> Chunk { piece(place(of: first + index)).pointee.chunk }

  /// Passes elements one by one from an index on, towards one end, until `body` returns false.
  /// O(log chunks) for the first, then O(1) an element.
  @inline(__always)
  func forEach(
    from index: Int, towards end: Store.ListEnd, _ body: (UnsafeRawBufferPointer) -> Bool
  ) {
    guard index >= 0, index < count else { return }
    var position = first + index
    var place = place(of: position)
    while place >= 0, place < pieceCount {
      let piece = piece(place).pointee
      while position >= piece.first, position < piece.end {
        if !body(piece.element(at: position)) { return }
        position += end == .tail ? 1 : -1
      }
      place += end == .tail ? 1 : -1
    }
  }

  /// Writes another value in the place of an element.
  mutating func set(_ value: UnsafeRawBufferPointer, at index: Int, heap: Heap) {
    willChange(heap)
    let position = first + index
    let place = place(of: position)
    let old = piece(place).pointee
    var writer = PieceWriter(for: self, heap)
    for each in old.first..<old.end {
      writer.append(each == position ? value : old.element(at: each), like: old)
    }
    writer.spent(old)
    replace(place, by: writer.finished(), heap: heap)
  }

  /// Adds a value before the element at an index.
  mutating func insert(_ value: UnsafeRawBufferPointer, before index: Int, heap: Heap) {
    willChange(heap)
    let position = first + index
    let place = place(of: position)
    let old = piece(place).pointee
    // A full chunk is halved, so that the next insertion here finds space.
    let isFull = old.room + Chunk.room(elements: 1, byteCount: value.count) > Chunk.roomMax
    let middle = isFull ? old.first + old.count / 2 : old.end
    var writer = PieceWriter(for: self, heap)
    for each in old.first..<old.end {
      if each == middle { writer.flush() }
      if each == position { writer.append(value, like: old) }
      writer.append(old.element(at: each), like: old)
    }
    writer.spent(old)
    replace(place, by: writer.finished(), heap: heap)
  }

  /// Removes the elements at some indices, in ascending order and not all elements. Remaining
  /// neighbours share chunks afterwards. O(elements of the affected pieces + chunks).
  mutating func removeEach(_ indices: UnsafeBufferPointer<Int>, heap: Heap) {
    willChange(heap)
    let base = first
    var next = 0
    var writer = PieceWriter(for: self, heap)
    for place in 0..<pieceCount {
      let old = piece(place).pointee
      guard next < indices.count, base + indices[next] < old.end else {
        writer.keep(old)
        continue
      }
      for position in old.first..<old.end {
        if next < indices.count, base + indices[next] == position {
          next += 1
        } else {
          writer.append(old.element(at: position), like: old)
        }
      }
      writer.spent(old)
    }
    replaceAll(by: writer.finished(), heap: heap)
  }

  /// Releases the outermost `count` elements at one end, but not all elements. O(released chunks).
  /// - Returns: the removed pieces, which the caller must release.
  mutating func drop(_ count: Int, at end: Store.ListEnd, heap: Heap) -> [Piece] {
    willChange(heap)
    var left = count
    var gone: [Piece] = []
    while left > 0 {
      let outermost = piece(end == .head ? 0 : pieceCount - 1)
      if outermost.pointee.count <= left {
        left -= outermost.pointee.count
        gone.append(outermost.pointee)
        removePiece(at: end, heap: heap)
      } else {
        if end == .head {
          outermost.pointee.dropFirst(left)
        } else {
          outermost.pointee.dropLast(left)
        }
        left = 0
      }
    }
    if pieceCount <= 2 {
      let outermost = piece(end == .head ? 0 : pieceCount - 1)
      if let old = shrink(outermost, heap: heap) { release(old, heap) }
    }
    return gone
  }

  // MARK: - Pieces

  /// Puts pieces in the place of one.
  private mutating func replace(_ place: Int, by fresh: [Piece], heap: Heap) {
    let old = piece(place)
    if fresh.count == 1, var piece = fresh.first, piece.count == old.pointee.count {
      piece.begin(at: old.pointee.first)
      old.pointee = piece
      return
    }
    var pieces: [Piece] = []
    pieces.reserveCapacity(pieceCount + fresh.count)
    for each in 0..<place { pieces.append(piece(each).pointee) }
    pieces.append(contentsOf: fresh)
    for each in (place + 1)..<pieceCount { pieces.append(piece(each).pointee) }
    replaceAll(by: pieces, heap: heap)
  }

  private mutating func replaceAll(by pieces: [Piece], heap: Heap) {
    become(List(on: heap, pieces: pieces), heap: heap)
  }
}

// The elements of one chunk that belong to one list, or to one view of it.
//
// List positions are absolute: they don't change when elements are pushed or popped at the head.
// Lives in a list's directory or in a list view.

struct Piece {
  let chunk: Chunk
  /// Absolute position of the piece's first element in list order.
  private(set) var first: Int
  /// Index inside the chunk of that element.
  private var firstIndex: UInt16
  private var elementCount: UInt16
  /// The list's generation when it got the chunk.
  let birth: UInt32

  /// The last `count` elements of a chunk, as many as were just filled.
  init(chunk: Chunk, first: Int, count: Int, birth: UInt32) {
    self.chunk = chunk
    self.first = first
    self.birth = birth
    // A chunk with many elements has space for at most 8 Ki: an element takes two bytes of it.
    firstIndex = UInt16(chunk.isReversed ? chunk.filled - 1 : chunk.filled - count)
    elementCount = UInt16(count)
  }

  var count: Int { Int(elementCount) }
  /// Absolute position after the last element.
  var end: Int { first + count }

  /// Indices inside the chunk.
  var indices: Range<Int> {
    let start = Int(firstIndex)
    return chunk.isReversed ? start + 1 - count..<start + 1 : start..<start + count
  }

  /// Bytes of all elements. O(1).
  var byteCount: Int { chunk.byteCount(of: indices) }
  /// The space of the elements in the chunk. O(1).
  var room: Int { chunk.room(of: indices) }

  /// The element at an absolute position of the piece. O(1).
  @inline(__always)
  func element(at position: Int) -> UnsafeRawBufferPointer {
    let distance = position &- first
    let start = Int(firstIndex)
    return chunk.element(chunk.isReversed ? start &- distance : start &+ distance)
  }

  /// The list's positions before it have become more or fewer.
  mutating func begin(at position: Int) { first = position }

  mutating func dropFirst(_ dropped: Int) {
    let start = Int(firstIndex)
    firstIndex = UInt16(truncatingIfNeeded: chunk.isReversed ? start - dropped : start + dropped)
    first += dropped
    elementCount -= UInt16(dropped)
  }

  mutating func dropLast(_ dropped: Int) { elementCount -= UInt16(dropped) }

  /// Whether the chunk grows at this end of the list.
  func grows(at end: Store.ListEnd) -> Bool { chunk.isReversed == (end == .head) }

  /// Whether there is nothing after the piece in its chunk.
  @inline(__always)
  var endsWithItsChunk: Bool { chunk.filled == indices.upperBound }

  /// Makes the chunk's filled part end where the piece ends, which an append needs.
  /// - Parameter isHeld: whether a pin holds the chunk.
  /// - Returns: false if others hold the elements after the piece, which must stay.
  func trimToAppend(isHeld: Bool) -> Bool {
    if endsWithItsChunk { return true }
    if chunk.isShared || isHeld { return false }
    chunk.truncate(to: indices.upperBound)
    return true
  }

  /// Takes in the element that was just appended to the chunk.
  mutating func takeAppended(at end: Store.ListEnd) {
    if end == .head {
      first -= 1
      firstIndex += 1
    }
    elementCount += 1
  }
}

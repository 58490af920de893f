// Writes elements into new pieces, each in a chunk of just the size it needs.
//
// Exists for one change of one list. Values are borrowed until their piece is written, and so are
// the pieces that they come from: then the list releases these.

struct PieceWriter {
  private let list: List
  private let heap: Heap
  private var pieces: [Piece] = []
  /// The elements of the next piece.
  private var values: [UnsafeRawBufferPointer] = []
  private var byteCount = 0
  private var isReversed = false
  /// Pieces of which some elements may not be written yet.
  private var spentPieces: [Piece] = []

  init(for list: List, _ heap: Heap) {
    self.list = list
    self.heap = heap
  }

  /// - Parameter piece: the next new piece grows at the end at which this one does.
  mutating func append(_ value: UnsafeRawBufferPointer, like piece: Piece) {
    let room = Chunk.room(elements: values.count + 1, byteCount: byteCount + value.count)
    if room > Chunk.roomMax { flush() }
    if values.isEmpty { isReversed = piece.chunk.isReversed }
    values.append(value)
    byteCount += value.count
  }

  /// A piece stays as it is.
  mutating func keep(_ piece: Piece) {
    flush()
    pieces.append(piece)
  }

  /// A piece is not needed any more: its elements were appended, or go.
  mutating func spent(_ piece: Piece) { spentPieces.append(piece) }

  /// Ends a piece.
  mutating func flush() {
    if !values.isEmpty {
      let room = Chunk.room(elements: values.count, byteCount: byteCount)
      let chunk = Chunk(on: heap, room: room, isReversed: isReversed)
      if isReversed {
        for value in values.reversed() { chunk.append(value) }
      } else {
        for value in values { chunk.append(value) }
      }
      pieces.append(
        Piece(chunk: chunk, first: 0, count: values.count, birth: list.generation))
      values.removeAll(keepingCapacity: true)
      byteCount = 0
    }
    for piece in spentPieces { list.release(piece, heap) }
    spentPieces.removeAll(keepingCapacity: true)
  }

  /// All pieces, in order.
  mutating func finished() -> [Piece] {
    flush()
    return pieces
  }
}

// Unreachable memory that is not freed yet: long lists, chunks that pins have kept, and the keys of
// large tables.
//
// Freeing a million blocks takes a large part of a second, so a large deletion only detaches the
// memory and puts it here; Store.collectGarbage frees it a slice at a time. Short lists are freed
// at once, which is less work.
//
// Work is counted in blocks freed, and a block counts once more for each KiB of it: returning its
// pages to the operating system takes time for each page. A unit is about 50 ns.
//
// Owned by the store's heap, which pins reference too; on the store's thread.

struct Garbage {
  /// What is done at once; tests set it lower.
  struct Limits {
    /// Tables of this many places (a power of two) or more grow and shrink in steps.
    var tableLog2: UInt8 = 16
    /// Lists of more pieces are put aside.
    var listPieces = 64
    /// Tables of more keys are put aside.
    var tableKeys = 1024
    /// Work spent at once on the others; the rest is put here too.
    var work = 2048
  }

  var lists: [DetachedList] = []
  /// Memory kept by released pins; none is empty.
  var kept: [[KeptChunk]] = []
  var tables: [DetachedTable] = []

  var isEmpty: Bool { lists.isEmpty && kept.isEmpty && tables.isEmpty }

  /// Work of freeing a block.
  static func work(ofBlock byteCount: Int) -> Int { 1 + byteCount >> 10 }
}

/// A chunk that a list has released and a pin holds.
struct KeptChunk {
  let chunk: Chunk
  /// As of its piece.
  let birth: UInt32
}

/// A list that is out of reach, or pieces that were cut off a list; emptied from the tail.
struct DetachedList {
  private let list: List
  /// The ring is the pin's otherwise.
  private let ownsRing: Bool
  /// The newest pin of the list. Its chunks stay until it is released.
  private let pin: PinnedList?
  /// Pieces below it are there still.
  private(set) var piecesLeft: Int

  /// - Parameter list: has its own ring.
  init(_ list: List, keptFor pin: PinnedList?) {
    self.list = list
    self.pin = pin
    ownsRing = true
    piecesLeft = list.pieceCount
  }

  /// A list whose key has released it.
  init(_ list: List, _ heap: Heap) {
    self.list = list
    pin = list.isPinned ? heap.takePin(of: list) : nil
    ownsRing = pin?.takeRing(of: list) != true
    piecesLeft = list.pieceCount
  }

  /// Frees its memory while the budget lasts; chunks that views and pins hold stay until those
  /// release them. O(budget).
  /// - Parameter budget: the remaining budget (see Garbage); at least one chunk is freed.
  /// - Returns: whether everything is freed.
  mutating func free(_ heap: Heap, budget: inout Int) -> Bool {
    while piecesLeft > 0 {
      piecesLeft -= 1
      let piece = list.piece(piecesLeft).pointee
      budget -= Garbage.work(ofBlock: piece.chunk.capacity)
      if pin?.keep(piece) != true { piece.chunk.releaseByList(heap) }
      if budget <= 0 && piecesLeft > 0 { return false }
    }
    if ownsRing { heap.free(list.base, list.blockBytes) }
    return true
  }
}

/// A table that was removed from the directory, emptied from the end of its places.
struct DetachedTable {
  var table: Table
  /// Places below it may still have entries.
  var placesLeft: Int

  init(_ table: Table) {
    self.table = table
    placesLeft = table.placeCount
  }

  /// The next remaining entry.
  mutating func next() -> Entry? {
    while placesLeft > 0 {
      placesLeft -= 1
      if let entry = table.entry(atPlace: placesLeft) { return entry }
    }
    return nil
  }
}

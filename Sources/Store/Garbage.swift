// What is out of reach but not freed yet: long lists, what pins have kept of lists, and the keys of
// large tables.
//
// To free a million blocks takes a good part of a second, so a deletion of much only detaches it
// and puts it here; Store.collectGarbage frees it a slice at a time. What is short is freed at
// once, which is less work than to remember it.
//
// Work is counted in blocks freed, and a block counts once more for each KiB of it: to give its
// pages back to the system takes time by the page. A unit is about 50 ns.
//
// Owned by the store's heap, which pins know as well; lives on the store's thread.

struct Garbage {
  /// What is done at once; tests set it lower.
  struct Limits {
    /// Tables of so many places, as a power of two, or more grow and shrink in steps.
    var tableLog2: UInt8 = 16
    /// Lists of more pieces are put aside.
    var listPieces = 64
    /// Tables of more keys are put aside.
    var tableKeys = 1024
    /// Work spent at once on the others; what is left of them then is put aside as well.
    var work = 2048
  }

  var lists: [DetachedList] = []
  /// What pins have kept that are gone; none is empty.
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
  /// The newest pin of the list. What it held keeps its hold until it goes.
  private let pin: PinnedList?
  /// Pieces below it are there still.
  private(set) var piecesLeft: Int

  /// - Parameter list: has a ring of its own.
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

  /// Gives back its memory while the budget lasts; chunks that views and pins hold stay until those
  /// let go. O(budget).
  /// - Parameter budget: what is left of it (see Garbage); at least one chunk is given back.
  /// - Returns: whether all is given back.
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

/// A table that was taken out of the directory, emptied from the end of its places.
struct DetachedTable {
  var table: Table
  /// Places below it may still have entries.
  var placesLeft: Int

  init(_ table: Table) {
    self.table = table
    placesLeft = table.placeCount
  }

  /// The next entry that is left.
  mutating func next() -> Entry? {
    while placesLeft > 0 {
      placesLeft -= 1
      if let entry = table.entry(atPlace: placesLeft) { return entry }
    }
    return nil
  }
}

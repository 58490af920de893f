// What is out of reach but not freed yet: long lists, and the keys of large tables.
//
// To free a million blocks takes a good part of a second, so a deletion of much only detaches it
// and puts it here; Store.collectGarbage frees it a slice at a time. What is short is freed at
// once, which is less work than to remember it.
//
// Work is counted in blocks freed, and a block counts once more for each KiB of it: to give its
// pages back to the system takes time by the page. A unit is about 50 ns.
//
// Owned by Store; lives on its thread.

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

  /// Detached lists, with what pieces they still have.
  var lists: [List] = []
  var tables: [DetachedTable] = []

  var isEmpty: Bool { lists.isEmpty && tables.isEmpty }

  /// Work of freeing a block.
  static func work(ofBlock byteCount: Int) -> Int { 1 + byteCount >> 10 }
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

// A whole list at one moment: held in place, not copied.
//
// The pins of a list are a chain in the order of their creation. Each has the ring of its moment,
// which the newest shares with the list until the list changes, and keeps the chunks that the list
// has released since, until the next pin was made. When a pin is released, its chunks go to an
// older pin that holds them too; the others are garbage.

/// All elements of a list, held.
///
/// It may outlive the key and the store, but must be released on the thread on which it was made.
/// Its elements may be read on another thread meanwhile. Chunks that the list has released count in
/// `Store.pinnedBytes` until the pin is released and `Store.collectGarbage` has freed them; a ring
/// that the list no longer uses, 24 bytes a chunk, counts in `Store.usedBytes`.
package final class PinnedList {
  let ring: List
  /// The list's, when it was pinned.
  private let generation: UInt32
  private let heap: Heap
  private var kept: [KeptChunk] = []
  /// The pin has the ring to itself, and frees it.
  private var ownsRing = false
  private unowned(unsafe) var older: PinnedList?
  private unowned(unsafe) var newer: PinnedList?
  /// The list's block, if the list exists and this is its newest pin.
  var listBase: UnsafeMutableRawPointer?

  init(_ list: List, heap: Heap, older: PinnedList?) {
    ring = list
    generation = list.generation
    self.heap = heap
    self.older = older
    older?.newer = self
    older?.listBase = nil
  }

  deinit {
    if let listBase {
      if let older {
        heap.setNewestPin(older, ofListAt: listBase)
      } else {
        let list = List(listBase)
        heap.takePin(of: list)
        list.isPinned = false
      }
    }
    older?.newer = newer
    newer?.older = older
    if ownsRing { heap.free(ring.base, ring.blockBytes) }
    passOnKept()
  }

  private func passOnKept() {
    var garbage = kept
    if let older {
      garbage.removeAll { $0.birth <= older.generation }
      older.kept += kept.lazy.filter { $0.birth <= older.generation }
    }
    if heap.isLeftAlone {
      for each in garbage { each.chunk.release(heap) }
    } else if !garbage.isEmpty {
      heap.garbage.kept.append(garbage)
    }
  }

  // MARK: - For the list

  /// Whether it holds the chunk of a piece that the list still has.
  func holds(_ piece: Piece) -> Bool { piece.birth <= generation }

  /// Keeps the chunk of a piece that the list releases, if it holds it.
  /// - Returns: whether it does.
  func keep(_ piece: Piece) -> Bool {
    guard holds(piece) else { return false }
    piece.chunk.becomeOrphan(heap)
    kept.append(KeptChunk(chunk: piece.chunk, birth: piece.birth))
    return true
  }

  /// The list releases its ring.
  /// - Returns: whether the pin has it now, and will free it.
  func takeRing(of list: List) -> Bool {
    guard list.base == ring.base else { return false }
    ownsRing = true
    return true
  }

  // MARK: - For its holder

  package var count: Int { ring.count }

  /// Bytes of all elements together. O(chunks).
  package var byteCount: Int {
    (0..<ring.pieceCount).reduce(0) { $0 + ring.piece($1).pointee.byteCount }
  }

  /// Passes the elements from `index` on, in order, until `body` returns false. The bytes are valid
  /// as long as the pin exists. O(log chunks) for the first, then O(1) an element.
  package func forEach(from index: Int = 0, _ body: (UnsafeRawBufferPointer) -> Bool) {
    ring.forEach(from: index, towards: .tail, body)
  }

  /// The element at an index, 0 ..< count. O(log chunks).
  package func element(at index: Int) -> UnsafeRawBufferPointer {
    precondition(index >= 0 && index < count)
    return ring.element(at: index)
  }
}

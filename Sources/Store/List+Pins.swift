// Changes of a list while pins hold an earlier state (PinnedList.swift).
//
// A pin shares the list's ring. Before the list changes it continues with a copy of the ring, and
// its generation is one more; the chunks don't move. Each piece knows the generation in which the
// list got its chunk, so a pin holds a chunk if it was made in the pin's generation or before.
// Chunks that the list then releases are kept by the newest pin.
//
// One of 2^31 generations begins only when a list is pinned and then changed, once for each pass of
// images.

extension List {
  private static let pinnedFlag: UInt32 = 1 << 31

  /// Generation, and whether pins hold the list.
  private var pinWord: UInt32 {
    get { base.load(fromByteOffset: 12, as: UInt32.self) }
    nonmutating set { base.storeBytes(of: newValue, toByteOffset: 12, as: UInt32.self) }
  }

  var generation: UInt32 { pinWord & ~List.pinnedFlag }

  /// Whether pins hold the list, in its current or an earlier state.
  @inline(__always)
  var isPinned: Bool {
    get { pinWord & List.pinnedFlag != 0 }
    nonmutating set {
      pinWord = newValue ? pinWord | List.pinnedFlag : pinWord & ~List.pinnedFlag
    }
  }

  /// Holds the list as it is. O(1).
  func pinned(_ heap: Heap) -> PinnedList {
    let newest = isPinned ? heap.newestPin(of: self) : nil
    if let newest, newest.ring.base == base { return newest }
    let pin = PinnedList(self, heap: heap, older: newest)
    isPinned = true
    heap.setNewestPin(pin, ofListAt: base)
    return pin
  }

  /// Each change of a list begins with it.
  @inline(__always)
  mutating func willChange(_ heap: Heap) {
    if isPinned { leaveRingToPin(heap) }
  }

  /// Continues with a copy of the ring if a pin shares it. O(1) otherwise.
  @inline(never)
  private mutating func leaveRingToPin(_ heap: Heap) {
    guard let newest = heap.newestPin(of: self), newest.takeRing(of: self) else { return }
    let fresh = List(heap.allocate(blockBytes))
    fresh.base.copyMemory(from: base, byteCount: List.headerBytes)
    let inFirstRun = min(pieceCount, ringCapacity - ringStart)
    (fresh.ring + ringStart).initialize(from: ring + ringStart, count: inFirstRun)
    fresh.ring.initialize(from: ring, count: pieceCount - inFirstRun)
    moveOn(to: fresh, heap: heap)
    fresh.pinWord += 1
    self = fresh
  }

  /// Another block becomes the list's own; the caller frees the old one.
  func moveOn(to fresh: List, heap: Heap) {
    fresh.pinWord = pinWord
    guard isPinned, let newest = heap.takePin(of: self) else { return }
    heap.setNewestPin(newest, ofListAt: fresh.base)
  }

  /// Whether a pin holds the chunk of a piece.
  func isHeldByPin(_ piece: Piece, _ heap: Heap) -> Bool {
    isPinned && heap.newestPin(of: self)?.holds(piece) == true
  }

  /// Passes a piece that the list releases to its pins.
  /// - Returns: false if no pin holds it: then the caller must release its chunk.
  @inline(__always)
  func keep(_ piece: Piece, _ heap: Heap) -> Bool {
    isPinned && passOn(piece, heap)
  }

  @inline(never)
  private func passOn(_ piece: Piece, _ heap: Heap) -> Bool {
    heap.newestPin(of: self)?.keep(piece) == true
  }

  /// The list goes.
  @inline(never)
  func leavePins(_ heap: Heap) { heap.takePin(of: self) }

  /// Releases a piece.
  func release(_ piece: Piece, _ heap: Heap) {
    if !keep(piece, heap) { piece.chunk.releaseByList(heap) }
  }
}

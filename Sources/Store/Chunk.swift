// A reference-counted run of list elements, packed; elements are appended and never move or change.
//
//   chunk    = orphan:1|references:31 filled:u32 used:u32 capacity|flags:u32  room
//   room     = bytes of element 0, 1, 2 ...   free   ... ends of element 2, 1, 0
//   end      = u16, or u32 in a chunk of 64 KiB and more: where an element's bytes end
//
// A chunk grows in one direction. At a list's head it is reversed: its first element is the last
// in list order, so a push at the head is an append too. A holder knows its own elements (Piece),
// and does not see later appends. Filled space is overwritten only while there is a single holder.
//
// A view on heap memory; single-threaded, its counts are not atomic. Another thread may read
// elements of a piece meanwhile: these and the last word of the header don't change.

struct Chunk {
  static let headerBytes = 16
  /// Room of a full-grown chunk; with headers, malloc's too, 16 KiB.
  static let roomMax = 16 * 1024 - 8 - headerBytes

  private static let reversedFlag: UInt32 = 1
  private static let wideFlag: UInt32 = 2
  private static let flagMask: UInt32 = 7
  /// Besides the references: the list has released the chunk; only views and pins hold it.
  private static let orphanFlag: UInt32 = 1 << 31

  let base: UnsafeMutableRawPointer

  /// An empty chunk with at least `room` bytes, with one reference.
  init(on heap: Heap, room: Int, isReversed: Bool) {
    let capacity = Heap.capacity(for: Chunk.headerBytes + room) - Chunk.headerBytes
    base = heap.allocate(Chunk.headerBytes + room)
    let wide = capacity > Int(UInt16.max) ? Chunk.wideFlag : 0
    setWord(0, 1)
    setWord(4, 0)
    setWord(8, 0)
    setWord(12, UInt32(capacity) | wide | (isReversed ? Chunk.reversedFlag : 0))
  }

  /// The space that elements of `byteCount` bytes together need in a separate chunk.
  static func room(elements: Int, byteCount: Int) -> Int {
    let narrow = byteCount + elements * 2
    return narrow + 16 <= Int(UInt16.max) ? narrow : byteCount + elements * 4
  }

  @inline(__always)
  private func word(_ offset: Int) -> UInt32 { base.load(fromByteOffset: offset, as: UInt32.self) }

  @inline(__always)
  private func setWord(_ offset: Int, _ value: UInt32) {
    base.storeBytes(of: value, toByteOffset: offset, as: UInt32.self)
  }

  var isReversed: Bool { word(12) & Chunk.reversedFlag != 0 }
  var isShared: Bool { word(0) & ~Chunk.orphanFlag > 1 }
  /// Elements written, also those without a holder.
  var filled: Int { Int(word(4)) }
  var capacity: Int { Int(word(12) & ~Chunk.flagMask) }
  private var isWide: Bool { word(12) & Chunk.wideFlag != 0 }
  private var endBytes: Int { isWide ? 4 : 2 }

  /// The space of a run of elements.
  func room(of range: Range<Int>) -> Int { byteCount(of: range) + range.count * endBytes }

  /// Where the bytes of element `index` end; 0 for -1. O(1).
  @inline(__always)
  func end(_ index: Int) -> Int {
    if index < 0 { return 0 }
    let roomEnd = Chunk.headerBytes &+ capacity
    if isWide {
      return Int(base.load(fromByteOffset: roomEnd &- (index &+ 1) &* 4, as: UInt32.self))
    }
    return Int(base.load(fromByteOffset: roomEnd &- (index &+ 1) &* 2, as: UInt16.self))
  }

  @inline(__always)
  func element(_ index: Int) -> UnsafeRawBufferPointer {
    let start = end(index &- 1)
    return UnsafeRawBufferPointer(
      start: base + (Chunk.headerBytes &+ start), count: end(index) &- start)
  }

  func byteCount(of range: Range<Int>) -> Int {
    end(range.upperBound - 1) - end(range.lowerBound - 1)
  }

  /// Whether an element of `byteCount` bytes still fits. O(1).
  func hasRoom(for byteCount: Int) -> Bool {
    Int(word(8)) + byteCount + (filled + 1) * endBytes <= capacity
  }

  /// Appends an element that fits.
  func append(_ value: UnsafeRawBufferPointer) {
    let start = Int(word(8))
    let index = filled
    let end = start + value.count
    copyBytes(value, to: base + Chunk.headerBytes + start)
    let roomEnd = Chunk.headerBytes + capacity
    if isWide {
      base.storeBytes(of: UInt32(end), toByteOffset: roomEnd - (index + 1) * 4, as: UInt32.self)
    } else {
      base.storeBytes(of: UInt16(end), toByteOffset: roomEnd - (index + 1) * 2, as: UInt16.self)
    }
    setWord(8, UInt32(end))
    setWord(4, UInt32(index + 1))
  }

  /// Drops the elements from `count` on, so that their space can be used again. Single holder only.
  func truncate(to count: Int) {
    assert(!isShared)
    setWord(8, UInt32(end(count - 1)))
    setWord(4, UInt32(count))
  }

  func retain() { setWord(0, word(0) + 1) }

  /// A view releases it.
  func release(_ heap: Heap) {
    let left = word(0) - 1
    setWord(0, left)
    guard left & ~Chunk.orphanFlag == 0 else { return }
    let bytes = Chunk.headerBytes + capacity
    if left & Chunk.orphanFlag != 0 { heap.pinnedBytes -= heap.usedBytes(ofBlock: bytes) }
    heap.free(base, bytes)
  }

  /// The list releases it; bytes that views still hold count as pinned.
  func releaseByList(_ heap: Heap) {
    if isShared { becomeOrphan(heap) }
    release(heap)
  }

  /// The list passes its reference to a pin.
  func becomeOrphan(_ heap: Heap) {
    setWord(0, word(0) | Chunk.orphanFlag)
    heap.pinnedBytes += heap.usedBytes(ofBlock: Chunk.headerBytes + capacity)
  }
}

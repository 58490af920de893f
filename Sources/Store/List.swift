// A list: a ring of pieces, each in a chunk, in list order.
//
//   list     = ringCapacity:u32 ringStart:u32 pieceCount:u32 pinned:1|generation:31  ring
//   ring     = ringCapacity times a Piece
//
// Chunks at the head side are reversed, those at the tail side are not, so both ends grow by
// appending; an index is found by binary search over the ring. Chunks start small and are moved to
// larger ones while they are below half the full size; after that the list gets another chunk.
//
// Changes within a list are in List+Within.swift. While pins hold a list (List+Pins.swift) its ring
// is copied before the first change, and chunks that it releases are kept for them.
//
// A view on heap memory that the entry of the list's key owns; on the thread of the store.

struct List {
  static let headerBytes = 16

  private(set) var base: UnsafeMutableRawPointer

  init(_ base: UnsafeMutableRawPointer) { self.base = base }

  /// An empty list; the caller must push to it at once.
  init(on heap: Heap) {
    base = List.makeBlock(heap, ringCapacity: 1)
  }

  /// A list of pieces, at least one, whose chunks become its own.
  init(on heap: Heap, pieces: [Piece]) {
    var capacity = 1
    while capacity < pieces.count { capacity *= 2 }
    base = List.makeBlock(heap, ringCapacity: capacity)
    pieceCount = pieces.count
    var position = 0
    for (place, piece) in pieces.enumerated() {
      var piece = piece
      piece.begin(at: position)
      position = piece.end
      self.piece(place).initialize(to: piece)
    }
  }

  static func makeBlock(_ heap: Heap, ringCapacity: Int) -> UnsafeMutableRawPointer {
    let base = heap.allocate(headerBytes + ringCapacity * MemoryLayout<Piece>.stride)
    base.initializeMemory(as: UInt64.self, repeating: 0, count: 2)
    base.storeBytes(of: UInt32(ringCapacity), as: UInt32.self)
    return base
  }

  var ringCapacity: Int { Int(base.load(as: UInt32.self)) }

  private(set) var ringStart: Int {
    get { Int(base.load(fromByteOffset: 4, as: UInt32.self)) }
    nonmutating set { base.storeBytes(of: UInt32(newValue), toByteOffset: 4, as: UInt32.self) }
  }

  private(set) var pieceCount: Int {
    get { Int(base.load(fromByteOffset: 8, as: UInt32.self)) }
    nonmutating set { base.storeBytes(of: UInt32(newValue), toByteOffset: 8, as: UInt32.self) }
  }

  var ring: UnsafeMutablePointer<Piece> {
    (base + List.headerBytes).assumingMemoryBound(to: Piece.self)
  }

  /// The piece at a place in list order.
  @inline(__always)
  func piece(_ place: Int) -> UnsafeMutablePointer<Piece> {
    ring + ((ringStart &+ place) & (ringCapacity &- 1))
  }

  /// Absolute position of the first element.
  var first: Int { pieceCount == 0 ? 0 : piece(0).pointee.first }
  private var end: Int { pieceCount == 0 ? 0 : piece(pieceCount - 1).pointee.end }
  var count: Int { end - first }

  /// The place of the piece with an absolute position of the list. O(log chunks).
  func place(of position: Int) -> Int {
    var low = 0
    var high = pieceCount - 1
    while low < high {
      let middle = (low + high + 1) / 2
      if piece(middle).pointee.first <= position { low = middle } else { high = middle - 1 }
    }
    return low
  }

  /// The outermost element of a list that has one. O(1).
  func outermost(at end: Store.ListEnd) -> UnsafeRawBufferPointer {
    let outermost = piece(end == .head ? 0 : pieceCount - 1)
    return outermost.pointee.element(
      at: end == .head ? outermost.pointee.first : outermost.pointee.end - 1)
  }

  /// The chunk that holds it.
  func outermostChunk(at end: Store.ListEnd) -> Chunk {
    piece(end == .head ? 0 : pieceCount - 1).pointee.chunk
  }

  /// Adds an element at one end. Amortised O(1) plus the copy of the value.
  mutating func push(_ value: UnsafeRawBufferPointer, at end: Store.ListEnd, heap: Heap) {
    willChange(heap)
    if !appendToOutermost(value, at: end, heap: heap) {
      addPiece(value, at: end, heap: heap)
    }
  }

  /// - Returns: false if the outermost chunk has no space for the value and must not be moved.
  @inline(__always)
  private func appendToOutermost(
    _ value: UnsafeRawBufferPointer, at end: Store.ListEnd, heap: Heap
  ) -> Bool {
    guard pieceCount > 0 else { return false }
    let outermost = piece(end == .head ? 0 : pieceCount - 1)
    guard outermost.pointee.grows(at: end) else { return false }
    if !outermost.pointee.endsWithItsChunk || !outermost.pointee.chunk.hasRoom(for: value.count) {
      guard makeRoom(for: value.count, in: outermost, heap: heap) else { return false }
    }
    outermost.pointee.chunk.append(value)
    outermost.pointee.takeAppended(at: end)
    return true
  }

  /// Drops the elements after a piece in its chunk, or moves the piece.
  /// - Returns: false if the piece must stay.
  @inline(never)
  private func makeRoom(
    for byteCount: Int, in piece: UnsafeMutablePointer<Piece>, heap: Heap
  ) -> Bool {
    let isHeld = isHeldByPin(piece.pointee, heap)
    if piece.pointee.trimToAppend(isHeld: isHeld), piece.pointee.chunk.hasRoom(for: byteCount) {
      return true
    }
    let room = piece.pointee.room
    let needed = room + Chunk.room(elements: 1, byteCount: byteCount)
    guard room * 2 <= Chunk.roomMax, needed <= Chunk.roomMax else { return false }
    let larger = max(needed, min(Chunk.roomMax, List.grown(room)))
    release(move(piece, toRoom: larger, heap: heap), heap)
    return true
  }

  /// The space for a run that needs `room`: little more, because most lists are short, but enough
  /// that each byte is copied at most four times on average.
  private static func grown(_ room: Int) -> Int { room * 5 / 4 }

  /// Copies a piece into a separate chunk.
  /// - Returns: the old piece, which the caller must release.
  private func move(
    _ piece: UnsafeMutablePointer<Piece>, toRoom room: Int, heap: Heap
  ) -> Piece {
    let old = piece.pointee
    let chunk = Chunk(on: heap, room: room, isReversed: old.chunk.isReversed)
    for index in old.indices { chunk.append(old.chunk.element(index)) }
    piece.pointee = Piece(
      chunk: chunk, first: old.first, count: old.count, birth: generation)
    return old
  }

  private mutating func addPiece(
    _ value: UnsafeRawBufferPointer, at end: Store.ListEnd, heap: Heap
  ) {
    let needed = Chunk.room(elements: 1, byteCount: value.count)
    let room = max(needed, roomForNext(at: end))
    let chunk = Chunk(on: heap, room: room, isReversed: end == .head)
    chunk.append(value)
    let position = end == .head ? first - 1 : self.end
    if pieceCount == ringCapacity { resizeRing(to: ringCapacity * 2, heap: heap) }
    if end == .head { ringStart = (ringStart - 1) & (ringCapacity - 1) }
    pieceCount += 1
    let place = end == .head ? 0 : pieceCount - 1
    piece(place).initialize(
      to: Piece(chunk: chunk, first: position, count: 1, birth: generation))
  }

  /// Room of the next chunk: about a quarter of the list, so that short lists stay small and long
  /// ones get full-sized chunks at once.
  private func roomForNext(at end: Store.ListEnd) -> Int {
    guard pieceCount > 0 else { return 0 }
    let outermost = piece(end == .head ? 0 : pieceCount - 1).pointee
    return min(Chunk.roomMax, min(Chunk.roomMax, outermost.room) * pieceCount / 4)
  }

  private mutating func resizeRing(to capacity: Int, heap: Heap) {
    let fresh = List(List.makeBlock(heap, ringCapacity: capacity))
    fresh.pieceCount = pieceCount
    for place in 0..<pieceCount { fresh.piece(place).initialize(to: piece(place).pointee) }
    become(fresh, heap: heap)
  }

  /// Has its pieces in another block from now on.
  mutating func become(_ fresh: List, heap: Heap) {
    moveOn(to: fresh, heap: heap)
    heap.free(base, blockBytes)
    self = fresh
  }

  /// Removes the outermost element of a list that has one. Amortised O(1).
  /// - Returns: its bytes, and their chunk if the list has released it: the bytes are valid until
  ///   the caller releases that chunk, or until the next push.
  mutating func pop(
    at end: Store.ListEnd, heap: Heap
  ) -> (bytes: UnsafeRawBufferPointer, leftover: Chunk?) {
    willChange(heap)
    let outermost = piece(end == .head ? 0 : pieceCount - 1)
    let position = end == .head ? outermost.pointee.first : outermost.pointee.end - 1
    let bytes = outermost.pointee.element(at: position)
    if end == .head { outermost.pointee.dropFirst(1) } else { outermost.pointee.dropLast(1) }
    if outermost.pointee.count == 0 {
      let gone = outermost.pointee
      removePiece(at: end, heap: heap)
      return (bytes, leftover(of: gone, heap))
    }
    if pieceCount <= 2, let old = shrink(outermost, heap: heap) {
      return (bytes, leftover(of: old, heap))
    }
    return (bytes, nil)
  }

  /// The chunk of a removed piece, unless pins keep it.
  @inline(__always)
  private func leftover(of piece: Piece, _ heap: Heap) -> Chunk? {
    keep(piece, heap) ? nil : piece.chunk
  }

  /// Moves a remaining piece out of a chunk that is four times too large, so that a shrunk list
  /// frees its memory.
  /// - Returns: the old piece, which the caller must release.
  func shrink(_ piece: UnsafeMutablePointer<Piece>, heap: Heap) -> Piece? {
    let capacity = piece.pointee.chunk.capacity
    let room = piece.pointee.room
    guard capacity >= 256, room * 4 < capacity, room <= Chunk.roomMax else { return nil }
    return move(piece, toRoom: List.grown(room), heap: heap)
  }

  mutating func removePiece(at end: Store.ListEnd, heap: Heap) {
    if end == .head { ringStart = (ringStart + 1) & (ringCapacity - 1) }
    pieceCount -= 1
    if pieceCount > 0, ringCapacity > 1, pieceCount * 4 <= ringCapacity {
      resizeRing(to: ringCapacity / 2, heap: heap)
    }
  }

  /// Frees the list's own block; its pieces are already released.
  func freeEmpty(_ heap: Heap) {
    if isPinned { leavePins(heap) }
    heap.free(base, blockBytes)
  }

  /// Bytes of the list's own block.
  var blockBytes: Int { List.headerBytes + ringCapacity * MemoryLayout<Piece>.stride }
}

// Own bytes, with references to external bytes between them: written with one gathering write,
// without a copy of large values.

struct PieceBuffer {
  private var start: UnsafeMutableRawPointer?
  private var capacity = 0
  /// Bytes of its own.
  private(set) var count = 0
  /// External bytes, before the own byte at an offset.
  private var others: [(offset: Int, bytes: UnsafeRawBufferPointer)] = []
  private(set) var otherCount = 0

  var totalCount: Int { count + otherCount }

  /// The place of the next bytes, with space for `needed` of them.
  mutating func room(_ needed: Int) -> UnsafeMutableRawPointer {
    if capacity - count < needed { grow(needed) }
    return start.unsafelyUnwrapped + count
  }

  mutating func wrote(upTo end: UnsafeMutableRawPointer) {
    count = end - UnsafeMutableRawPointer(start.unsafelyUnwrapped)
  }

  /// Reserves space that is written later.
  mutating func skip(_ bytes: Int) { wrote(upTo: room(bytes) + bytes) }

  func address(_ offset: Int) -> UnsafeMutableRawPointer { start.unsafelyUnwrapped + offset }

  mutating func insert(_ bytes: UnsafeRawBufferPointer) {
    others.append((count, bytes))
    otherCount += bytes.count
  }

  mutating func removeAll() {
    (count, otherCount) = (0, 0)
    others.removeAll(keepingCapacity: true)
  }

  private mutating func grow(_ needed: Int) {
    let larger = max(4096, 2 * capacity, count + needed)
    let grown = UnsafeMutableRawPointer.allocate(byteCount: larger, alignment: 16)
    if let start {
      grown.copyMemory(from: start, byteCount: count)
      start.deallocate()
    }
    (start, capacity) = (grown, larger)
  }

  /// All bytes in order.
  func pieces() -> [UnsafeRawBufferPointer] {
    var pieces: [UnsafeRawBufferPointer] = []
    var from = 0
    for other in others {
      appendOwn(from..<other.offset, to: &pieces)
      pieces.append(other.bytes)
      from = other.offset
    }
    appendOwn(from..<count, to: &pieces)
    return pieces
  }

  private func appendOwn(_ range: Range<Int>, to pieces: inout [UnsafeRawBufferPointer]) {
    guard let start, !range.isEmpty else { return }
    pieces.append(UnsafeRawBufferPointer(start: start + range.lowerBound, count: range.count))
  }

  func free() { start?.deallocate() }
}

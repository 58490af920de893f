// Bytes of a stream that were fed and not taken yet, contiguous.

/// Has an owner that frees it.
struct GatheredBytes {
  private var start: UnsafeMutableRawPointer?
  private var capacity = 0
  private var taken = 0
  private var end = 0

  /// What is there; good until the next `append`.
  var bytes: UnsafeRawBufferPointer {
    guard let start else { return UnsafeRawBufferPointer(start: nil, count: 0) }
    return UnsafeRawBufferPointer(start: start + taken, count: end - taken)
  }

  var count: Int { end - taken }

  mutating func append(_ more: UnsafeRawBufferPointer) {
    guard let from = more.baseAddress, more.count > 0 else { return }
    if capacity - end < more.count { makeRoom(more.count) }
    start.unsafelyUnwrapped.advanced(by: end).copyMemory(from: from, byteCount: more.count)
    end += more.count
  }

  /// The first bytes are done with. They stay readable until the next `append`.
  mutating func take(_ count: Int) {
    precondition(count <= self.count)
    taken += count
  }

  private mutating func makeRoom(_ needed: Int) {
    let rest = bytes
    let wanted = rest.count + needed
    // Moved to the front if that frees as much space as it moves, so that moving stays cheap.
    if let start, wanted * 2 <= capacity {
      if let from = rest.baseAddress { start.copyMemory(from: from, byteCount: rest.count) }
    } else {
      let grown = UnsafeMutableRawPointer.allocate(byteCount: wanted * 2, alignment: 16)
      if let from = rest.baseAddress { grown.copyMemory(from: from, byteCount: rest.count) }
      start?.deallocate()
      (start, capacity) = (grown, wanted * 2)
    }
    (taken, end) = (0, rest.count)
  }

  func free() { start?.deallocate() }
}

// A large piece of memory with a reference count: a message that was received into it can be kept
// (by the store as a value, by a link as output) without a copy. A copy of 64 MiB would hold an
// event loop for 30 ms, most of it page faults.
//
// A block that is being filled has one holder. From the moment it is handed on it does not change.
//
// The count is Swift's own, so the last reference may be dropped on any thread; the bytes have no
// lock and need none, as a shared block does not change.

/// Memory that is returned in the background when the last reference goes.
package final class LargeBlock {
  /// The size in bytes from which a piece of memory is large: it gets a block, and
  /// `BackgroundRelease` returns it. Copying this much takes half a millisecond.
  package static let bytesMin = 1 << 20

  package let base: UnsafeMutableRawPointer
  /// Bytes of the block.
  package let capacity: Int

  /// A block of uninitialized bytes, aligned to 16. O(1): its pages are provided when they are
  /// used.
  package init(capacity: Int) {
    precondition(capacity > 0)
    base = .allocate(byteCount: capacity, alignment: 16)
    self.capacity = capacity
  }

  deinit {
    BackgroundRelease.free(base, byteCount: capacity)
  }
}

/// A part of a block that retains the block. A value; it may be used wherever the reference may.
package struct OwnedBytes {
  package let block: LargeBlock
  private let start: UnsafeRawPointer
  package let count: Int

  /// Bytes inside `block`.
  /// - Returns: nil if there is no block, or the bytes are not in it.
  package init?(_ bytes: UnsafeRawBufferPointer, in block: LargeBlock?) {
    guard let block, let start = bytes.baseAddress else { return nil }
    let first = UnsafeRawPointer(block.base)
    guard start >= first, start + bytes.count <= first + block.capacity else { return nil }
    self.block = block
    self.start = start
    count = bytes.count
  }

  /// A copy in a new block. O(bytes).
  package init(copying bytes: UnsafeRawBufferPointer) {
    block = LargeBlock(capacity: max(1, bytes.count))
    start = UnsafeRawPointer(block.base)
    count = bytes.count
    if let from = bytes.baseAddress { block.base.copyMemory(from: from, byteCount: bytes.count) }
  }

  /// Calls `body` with the bytes, which are good until it returns.
  package func withBytes<R, E: Error>(
    _ body: (UnsafeRawBufferPointer) throws(E) -> R
  ) throws(E) -> R {
    defer { withExtendedLifetime(block) {} }
    return try body(UnsafeRawBufferPointer(start: start, count: count))
  }

  /// The bytes without the first `dropped` of them.
  package func dropFirst(_ dropped: Int) -> OwnedBytes { self[dropped..<count] }

  /// Some of the bytes; they retain the whole block.
  package subscript(range: Range<Int>) -> OwnedBytes {
    precondition(range.lowerBound >= 0 && range.upperBound <= count)
    return OwnedBytes(block: block, start: start + range.lowerBound, count: range.count)
  }

  private init(block: LargeBlock, start: UnsafeRawPointer, count: Int) {
    self.block = block
    self.start = start
    self.count = count
  }
}

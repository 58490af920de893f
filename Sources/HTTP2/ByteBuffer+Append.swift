// Appends to a buffer with one check of its capacity. `ByteBuffer.writeBytes` does the same in
// generic steps, which cost more than the copy of a frame's header or of a small message. Pure.

import NIOCore

extension ByteBuffer {
  /// Appends `bytes`. O(bytes).
  @inlinable
  package mutating func append(_ bytes: UnsafeRawBufferPointer) {
    guard bytes.count > 0 else { return }
    writeWithUnsafeMutableBytes(minimumWritableBytes: bytes.count) {
      $0.copyMemory(from: bytes)
      return bytes.count
    }
  }

  /// Appends `first` and, after it, `second`. O(bytes).
  @inlinable
  package mutating func append(_ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer) {
    let count = first.count + second.count
    guard count > 0 else { return }
    writeWithUnsafeMutableBytes(minimumWritableBytes: count) {
      $0.copyMemory(from: first)
      UnsafeMutableRawBufferPointer(rebasing: $0[first.count...]).copyMemory(from: second)
      return count
    }
  }
}

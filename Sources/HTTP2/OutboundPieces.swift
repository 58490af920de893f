// The bytes that a stream sends before its outbound buffer: memory that was filled elsewhere and is
// sent without another copy, and the bytes queued before that. Most streams never have any. Owned
// by one HTTP2Stream; the connection's event loop.

import LargeMemory
import NIOCore

/// A queue of bytes in pieces; the owner says how many are to be sent.
struct OutboundPieces {
  private enum Piece {
    case buffer(ByteBuffer)
    case owned(OwnedBytes)
  }

  private var pieces = CircularBuffer<Piece>(initialCapacity: 4)
  /// Bytes of all pieces.
  private(set) var byteCount = 0

  mutating func append(_ buffer: ByteBuffer) {
    byteCount += buffer.readableBytes
    pieces.append(.buffer(buffer))
  }

  mutating func append(_ bytes: OwnedBytes) {
    byteCount += bytes.count
    pieces.append(.owned(bytes))
  }

  /// Moves the first `count` bytes, or all if there are fewer, to the end of `output`. A piece is
  /// released with its last byte. Returns how many were moved. O(bytes moved).
  mutating func move(_ count: Int, to output: inout ByteBuffer) -> Int {
    var left = min(count, byteCount)
    let moved = left
    while left > 0, let first = pieces.popFirst() {
      let taken: Int
      switch first {
      case .buffer(var buffer):
        taken = min(left, buffer.readableBytes)
        buffer.readWithUnsafeReadableBytes {
          output.writeBytes(UnsafeRawBufferPointer(rebasing: $0[..<taken]))
          return taken
        }
        if buffer.readableBytes > 0 { pieces.prepend(.buffer(buffer)) }
      case .owned(let bytes):
        taken = min(left, bytes.count)
        bytes.withBytes { _ = output.writeBytes(UnsafeRawBufferPointer(rebasing: $0[..<taken])) }
        if taken < bytes.count { pieces.prepend(.owned(bytes.dropFirst(taken))) }
      }
      left -= taken
      byteCount -= taken
    }
    return moved
  }
}

// gRPC's message framing on the way out (PROTOCOL-HTTP2): Length-Prefixed-Message = Compressed-Flag
// (1 byte; 1 after `compress`, else 0) Message-Length (4 bytes, big endian) Message. The message is
// written straight into the stream's outbound buffer and its prefix patched afterwards, so nothing
// is encoded twice or copied. A message that is built elsewhere leaves space for its prefix: then
// its buffer is swapped with the stream's, which is mostly empty. Pure functions on the caller's
// buffer.

import HTTP2
import NIOCore

/// Writes the five-byte prefix of a message.
package enum MessageFrame {
  /// Bytes of the prefix.
  package static let prefixBytes = 5

  /// The place of a message's prefix in its buffer.
  package struct Mark: Sendable { fileprivate let index: Int }

  /// Leaves space for the prefix. Write the message after it, then call `end`.
  package static func begin(_ buffer: inout ByteBuffer) -> Mark {
    let index = buffer.writerIndex
    buffer.writeMultipleIntegers(UInt8(0), UInt32(0))
    return Mark(index: index)
  }

  /// Patches the prefix of the message that ends at the writer index, or this many bytes after it.
  /// Returns the message's bytes.
  @discardableResult
  package static func end(
    _ mark: Mark, _ buffer: inout ByteBuffer, followedBy byteCount: Int = 0
  ) -> Int {
    let length = buffer.writerIndex - mark.index - prefixBytes + byteCount
    precondition(length >= 0 && length <= Int(UInt32.max), "a message must fit its prefix")
    buffer.setInteger(UInt32(length), at: mark.index + 1)
    return length
  }

  /// Replaces the message that was begun at `mark`, and ends at the writer index, by its compressed
  /// form, if that is shorter.
  static func compress(_ mark: Mark, _ buffer: inout ByteBuffer, _ codec: GzipCodec) {
    let message = mark.index + prefixBytes
    let end = buffer.writerIndex
    var compressed = ByteBuffer()
    let isShorter = buffer.withVeryUnsafeBytes { memory in
      codec.deflate(UnsafeRawBufferPointer(rebasing: memory[message..<end]), into: &compressed)
    }
    guard isShorter else { return }
    buffer.moveWriterIndex(to: message)
    buffer.writeImmutableBuffer(compressed)
    buffer.setInteger(UInt8(1), at: mark.index)
    Self.end(mark, &buffer)
  }

  /// Empties a buffer for a new message, and leaves space for the prefix in front of it. (Without
  /// the space `move` copies the message.)
  package static func leaveRoom(in buffer: inout ByteBuffer) {
    buffer.clear()
    buffer.writeMultipleIntegers(UInt8(0), UInt32(0))
    buffer.moveReaderIndex(forwardBy: prefixBytes)
  }

  /// Moves a finished message to the end of a stream's buffer, after its prefix: if that buffer is
  /// empty the two are swapped. `message` is empty afterwards, with space for the next one's
  /// prefix.
  ///
  /// - Parameter byteCount: bytes of the message that will follow those in the buffer.
  static func move(
    _ message: inout ByteBuffer, followedBy byteCount: Int = 0, to buffer: inout ByteBuffer
  ) {
    if buffer.readableBytes == 0, message.readerIndex >= prefixBytes {
      let mark = Mark(index: message.readerIndex - prefixBytes)
      message.moveReaderIndex(to: mark.index)
      message.setInteger(UInt8(0), at: mark.index)
      end(mark, &message, followedBy: byteCount)
      swap(&message, &buffer)
    } else {
      writePrefix(byteCount: message.readableBytes + byteCount, to: &buffer)
      buffer.writeImmutableBuffer(message)
    }
    leaveRoom(in: &message)
  }

  /// Appends the prefix alone; this many bytes must follow.
  package static func writePrefix(byteCount: Int, to buffer: inout ByteBuffer) {
    buffer.writeMultipleIntegers(UInt8(0), UInt32(clamping: byteCount))
  }

  /// Appends a complete message.
  package static func write(_ message: UnsafeRawBufferPointer, to buffer: inout ByteBuffer) {
    precondition(message.count <= Int(UInt32.max), "a message must fit its prefix")
    // The flag, and the length in big endian: the last five bytes of this word.
    let word = UInt64(message.count).bigEndian
    withUnsafeBytes(of: word) {
      buffer.append(UnsafeRawBufferPointer(rebasing: $0[(8 - prefixBytes)...]), message)
    }
  }
}

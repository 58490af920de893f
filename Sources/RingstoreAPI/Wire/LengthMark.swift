// Length-delimited fields whose contents are written before their length is known. A mark holds
// indices into the buffer, so it stays valid when the buffer grows, but not across a read,
// `discardReadBytes` or `clear`. Marks nest; the inner one is ended first.

import NIOCore

/// The position of an open length-delimited field in its buffer.
package struct LengthMark {
  /// Index of the field's tag: the writer returns to it when the field is abandoned.
  let start: Int
  /// Index of the first byte of the length.
  let length: Int
  /// Bytes set aside for the length.
  let width: Int

  var contents: Int { length &+ width }

  /// Writes the length of `count` bytes to its position; `width` is enough for it.
  @inline(__always)
  func fill(_ memory: UnsafeMutableRawBufferPointer, count: Int) {
    var cursor = WireCursor(memory, at: length)
    cursor.put(varint: UInt64(truncatingIfNeeded: count), width: width)
  }
}

extension ByteBuffer {
  /// Opens a length-delimited field; what is written next, up to `endLengthDelimited`, is in it.
  ///
  /// - Parameter sizeHint: how many bytes will probably follow. Reserves a length of that width. If
  ///   the hint is too small, the contents are moved by a few bytes at the end, which matters only
  ///   for large contents; if it is too large, the length has padding, which is valid protobuf.
  package mutating func beginLengthDelimited(
    _ field: BytesField, sizeHint: Int = 0
  ) -> LengthMark {
    let start = writerIndex
    let width = WireSize.varint(UInt64(truncatingIfNeeded: max(sizeHint, 0)))
    writeFields(size: WireSize.tag(field.number) + width + max(sizeHint, 0)) { cursor in
      cursor.put(tag: .bytes(field.number))
      cursor.put(varint: 0, width: width)
    }
    return LengthMark(start: start, length: writerIndex - width, width: width)
  }

  /// Closes the field: fills in its length. O(1), or O(contents) if the length needs more room.
  package mutating func endLengthDelimited(_ mark: LengthMark) {
    let count = writerIndex - mark.contents
    let needed = WireSize.varint(UInt64(truncatingIfNeeded: count))
    if needed > mark.width {
      openGap(at: mark.contents, width: needed - mark.width)
    }
    let patch = LengthMark(
      start: mark.start, length: mark.length, width: max(needed, mark.width))
    withVeryUnsafeMutableBytes { patch.fill($0, count: count) }
  }

  /// Gives the field up: the buffer is as it was before `beginLengthDelimited`.
  package mutating func abandonLengthDelimited(_ mark: LengthMark) {
    moveWriterIndex(to: mark.start)
  }

  /// Moves what was written from `index` on towards the end by `width` bytes.
  private mutating func openGap(at index: Int, width: Int) {
    let count = writerIndex - index
    writeRepeatingByte(0, count: width)
    withVeryUnsafeMutableBytes { memory in
      let source = UnsafeRawBufferPointer(rebasing: memory[index..<index + count])
      UnsafeMutableRawBufferPointer(rebasing: memory[(index + width)...]).copyMemory(from: source)
    }
  }
}

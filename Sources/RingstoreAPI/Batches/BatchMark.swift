// A call or reply that is open in a batch: two length-delimited fields, one in the other, opened
// and closed together. One per call, so both steps touch the buffer once. The buffer's thread.

import NIOCore

/// The position of an open call or reply in its buffer: the message, and its request or response.
package struct BatchMark {
  let message: LengthMark
  let body: LengthMark

  /// Where the call or reply begins in the buffer.
  package var start: Int { message.start }
  /// The most bytes of a call or reply besides its request or response: id, two small numbers or a
  /// flag, and the body's own tag and length.
  static let headBytesMax = 11 + 6 + 6 + 6
}

extension ByteBuffer {
  /// Opens a message in `field`, writes its `head`, and opens the field `body` in it.
  ///
  /// - Parameter sizeHint: how many bytes the body will probably have; see `beginLengthDelimited`.
  @inline(__always)
  mutating func beginBatchMessage(
    _ field: BytesField, body: BytesField, sizeHint: Int, _ head: (inout WireCursor) -> Void
  ) -> BatchMark {
    let start = writerIndex
    let hint = max(sizeHint, 0)
    let width = hint == 0 ? 1 : WireSize.varint(UInt64(truncatingIfNeeded: hint))
    let around = hint == 0 ? 0 : hint + BatchMark.headBytesMax
    let messageWidth = hint == 0 ? 1 : WireSize.varint(UInt64(truncatingIfNeeded: around))
    var (messageLength, bodyTag, bodyLength) = (0, 0, 0)
    writeFields(size: 5 + messageWidth + BatchMark.headBytesMax + hint) { cursor in
      cursor.put(tag: .bytes(field.number))
      messageLength = cursor.offset
      cursor.put(varint: 0, width: messageWidth)
      head(&cursor)
      bodyTag = cursor.offset
      cursor.put(tag: .bytes(body.number))
      bodyLength = cursor.offset
      cursor.put(varint: 0, width: width)
    }
    return BatchMark(
      message: LengthMark(start: start, length: messageLength, width: messageWidth),
      body: LengthMark(start: bodyTag, length: bodyLength, width: width))
  }

  /// Fills in both lengths.
  mutating func endBatchMessage(_ mark: BatchMark) {
    let body = writerIndex - mark.body.contents
    let message = writerIndex - mark.message.contents
    guard
      WireSize.varint(UInt64(truncatingIfNeeded: body)) <= mark.body.width,
      WireSize.varint(UInt64(truncatingIfNeeded: message)) <= mark.message.width
    else {
      endLengthDelimited(mark.body)
      endLengthDelimited(mark.message)
      return
    }
    withVeryUnsafeMutableBytes { memory in
      mark.body.fill(memory, count: body)
      mark.message.fill(memory, count: message)
    }
  }
}

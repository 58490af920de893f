// Replies appended to a batch under construction, and the other part of a ShardFrame. A response is
// written in place, between `beginReply` and `endReply`; nothing is encoded elsewhere and copied.

import NIOCore

extension ByteBuffer {
  /// Opens an OK reply; the response message is written next, in place.
  ///
  /// - Parameters:
  ///   - sizeHint: how many bytes the response will probably have. Worth giving for large values:
  ///     without it the bytes are moved a little in the end.
  ///   - more: further parts of the same reply follow (links only).
  package mutating func beginReply(
    _ field: ReplyField, id: UInt64, sizeHint: Int = 0, more: Bool = false
  ) -> BatchMark {
    beginBatchMessage(field.number, body: 4, sizeHint: sizeHint) { cursor in
      cursor.put(1, optionalVarint: id)
      cursor.put(6, optionalVarint: more ? 1 : 0)
    }
  }

  package mutating func endReply(_ mark: BatchMark) {
    endBatchMessage(mark)
  }

  /// Takes back everything since `beginReply`, so that an error can stand there instead.
  package mutating func abandonReply(_ mark: BatchMark) {
    abandonLengthDelimited(mark.message)
  }

  /// A whole OK reply around a response that is encoded already. One capacity check.
  package mutating func writeReply(
    _ field: ReplyField, id: UInt64, response: UnsafeRawBufferPointer, more: Bool = false
  ) {
    let size =
      WireSize.optionalVarintField(1, id) &+ (more ? 2 : 0)
      &+ WireSize.optionalBytesField(4, count: response.count)
    writeFields(size: WireSize.bytesField(field.number, count: size)) { cursor in
      cursor.put(tag: .bytes(field.number))
      cursor.put(varint: UInt64(truncatingIfNeeded: size))
      cursor.put(1, optionalVarint: id)
      cursor.put(6, optionalVarint: more ? 1 : 0)
      cursor.put(4, optionalBytes: response)
    }
  }

  /// A whole OK reply whose response is a `Value` that was found: what most replies are, so it has
  /// a writer of its own, with one capacity check for all of it.
  package mutating func writeValueReply(
    _ field: ReplyField, id: UInt64, value: UnsafeRawBufferPointer, version: UInt64
  ) {
    let response = WireSize.value(count: value.count, version: version)
    let size = WireSize.optionalVarintField(1, id) &+ WireSize.bytesField(4, count: response)
    writeFields(size: WireSize.bytesField(field.number, count: size)) { cursor in
      cursor.put(tag: .bytes(field.number))
      cursor.put(varint: UInt64(truncatingIfNeeded: size))
      cursor.put(1, optionalVarint: id)
      cursor.put(tag: .bytes(4))
      cursor.put(varint: UInt64(truncatingIfNeeded: response))
      cursor.putValue(value, version: version)
    }
  }

  /// A whole reply that failed.
  package mutating func writeReply(_ field: ReplyField, id: UInt64, error: CallError) {
    var message = error.message
    message.withUTF8 { message in
      error.details().withUnsafeBytes { details in
        writeReply(
          field, id: id, code: error.code.rawValue, message: UnsafeRawBufferPointer(message),
          details: details)
      }
    }
  }

  /// A whole reply that failed, from parts that another node encoded: passed on untouched.
  package mutating func writeReply(
    _ field: ReplyField, id: UInt64, code: Int32, message: UnsafeRawBufferPointer,
    details: UnsafeRawBufferPointer
  ) {
    let mark = beginLengthDelimited(
      field.number, sizeHint: 32 + message.count + details.count)
    writeOptionalVarintField(1, id)
    writeOptionalIntField(2, Int64(code))
    writeOptionalBytesField(3, message)
    writeOptionalBytesField(5, details)
    endLengthDelimited(mark)
  }

  /// `clock_millis` of a ShardFrame: the shard's clock.
  package mutating func writeClock(millis: UInt64) {
    writeVarintField(4, millis)
  }

  /// `draining` of a ShardFrame.
  package mutating func writeDraining() {
    writeVarintField(3, 1)
  }
}

// Replies appended to a batch under construction: a Pipeline's Reply or a link's LinkReply, which
// have the same numbers (see `Carrier`). A response is written in place, between `beginReply` and
// `endReply`; nothing is encoded elsewhere and copied.

import NIOCore

private typealias Field = LinkV1.LinkReply.Field

extension ByteBuffer {
  /// Opens an OK reply; the response message is written next, in place.
  ///
  /// - Parameters:
  ///   - sizeHint: how many bytes the response will probably have. Useful for large values: without
  ///     it the bytes are moved a little at the end.
  ///   - more: further parts of the same reply follow (links only).
  package mutating func beginReply(
    _ carrier: Carrier, id: UInt64, sizeHint: Int = 0, more: Bool = false
  ) -> BatchMark {
    beginBatchMessage(carrier.replies, body: Field.response, sizeHint: sizeHint) { cursor in
      cursor.put(Field.id.number, optionalVarint: id)
      cursor.put(Field.more.number, optionalVarint: more ? 1 : 0)
    }
  }

  package mutating func endReply(_ mark: BatchMark) {
    endBatchMessage(mark)
  }

  /// Removes everything since `beginReply`, so that an error can be written instead.
  package mutating func abandonReply(_ mark: BatchMark) {
    abandonLengthDelimited(mark.message)
  }

  /// A whole OK reply around a response that is encoded already. One capacity check.
  package mutating func writeReply(
    _ carrier: Carrier, id: UInt64, response: UnsafeRawBufferPointer, more: Bool = false
  ) {
    let size =
      WireSize.optionalVarintField(Field.id.number, id)
      &+ WireSize.optionalVarintField(Field.more.number, more ? 1 : 0)
      &+ WireSize.optionalBytesField(Field.response.number, count: response.count)
    let field = carrier.replies.number
    writeFields(size: WireSize.bytesField(field, count: size)) { cursor in
      cursor.put(tag: .bytes(field))
      cursor.put(varint: UInt64(truncatingIfNeeded: size))
      cursor.put(Field.id.number, optionalVarint: id)
      cursor.put(Field.more.number, optionalVarint: more ? 1 : 0)
      cursor.put(Field.response.number, optionalBytes: response)
    }
  }

  /// A whole OK reply except for the bytes of its response, which must follow: `responseBytes` of
  /// them.
  package mutating func writeReplyHead(_ carrier: Carrier, id: UInt64, responseBytes: Int) {
    let size =
      WireSize.optionalVarintField(Field.id.number, id)
      &+ WireSize.bytesField(Field.response.number, count: responseBytes)
    writeHead(of: carrier.replies, count: size)
    write(Field.id, id)
    writeHead(of: Field.response, count: responseBytes)
  }

  /// A whole reply that failed.
  package mutating func writeReply(_ carrier: Carrier, id: UInt64, error: CallError) {
    var message = error.message
    message.withUTF8 { message in
      error.details().withUnsafeBytes { details in
        writeReply(
          carrier, id: id, code: error.code.rawValue, message: UnsafeRawBufferPointer(message),
          details: details)
      }
    }
  }

  /// A whole reply that failed, from parts that another node encoded: passed on untouched.
  package mutating func writeReply(
    _ carrier: Carrier, id: UInt64, code: Int32, message: UnsafeRawBufferPointer,
    details: UnsafeRawBufferPointer
  ) {
    append(
      carrier.replies,
      LinkV1.LinkReply(id: id, code: code, message: message, details: details))
  }

  /// Returns a call over its link: it was not executed, because its key's slot isn't the shard's.
  /// The router may route it again; `error` is for its caller if that isn't possible.
  package mutating func writeReturned(_ call: LinkV1.LinkCall, _ error: CallError) {
    let reply = beginLengthDelimited(
      Carrier.link.replies, sizeHint: call.request.count + error.message.utf8.count + 64)
    write(Field.id, call.id)
    write(Field.code, Int64(error.code.rawValue))
    write(Field.message, error.message)
    append(Field.response, call)
    error.details().withUnsafeBytes { write(Field.details, $0) }
    write(Field.more, true)
    endLengthDelimited(reply)
  }

  /// Tells a router that a call has found nothing and waits at its shard.
  package mutating func writeParked(_ call: LinkV1.LinkCall) {
    let reply = beginLengthDelimited(Carrier.link.replies, sizeHint: call.request.count + 48)
    write(Field.id, call.id)
    append(Field.response, call)
    write(Field.more, true)
    write(Field.parked, true)
    endLengthDelimited(reply)
  }
}

// The body of a unary request: exactly one message. Pure.

enum UnaryFraming {
  enum Check {
    /// More is to come. The message will have this many bytes with its prefix; 0: not known yet.
    case incomplete(announcedBytes: Int)
    /// One whole message behind its prefix, and the end.
    case complete
    case failed(RPCStatus)
  }

  /// Checks what has arrived so far. The length is checked before the message is complete.
  static func check(
    _ body: UnsafeRawBufferPointer, isEnded: Bool, limit: Int, acceptsCompressed: Bool = false
  ) -> Check {
    guard body.count >= MessageFrame.prefixBytes else {
      guard isEnded else { return .incomplete(announcedBytes: 0) }
      return body.isEmpty
        ? .failed(RPCStatus(.unimplemented, "unary call without a message"))
        : .failed(MessageFramingError.truncatedAtEnd.status(limit: limit))
    }
    switch body[0] {
    case 0: break
    case 1 where acceptsCompressed: break
    case 1: return .failed(MessageFramingError.compressedWithoutEncoding.status(limit: limit))
    default: return .failed(MessageFramingError.badFlag(body[0]).status(limit: limit))
    }
    let length = Int(UInt32(bigEndian: body.loadUnaligned(fromByteOffset: 1, as: UInt32.self)))
    guard length <= limit else {
      return .failed(MessageFramingError.tooLarge(length: length).status(limit: limit))
    }
    let frame = MessageFrame.prefixBytes + length
    if body.count > frame {
      return .failed(RPCStatus(.unimplemented, "unary call with more than one message"))
    }
    guard isEnded else { return .incomplete(announcedBytes: frame) }
    return body.count == frame
      ? .complete : .failed(MessageFramingError.truncatedAtEnd.status(limit: limit))
  }
}

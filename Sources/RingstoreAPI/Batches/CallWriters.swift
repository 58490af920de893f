// Calls appended to a batch under construction, and the other parts of a RouterFrame. The buffer
// is the link's own; its event loop's thread.

import NIOCore

extension ByteBuffer {
  /// A whole call around a request that is encoded already. One capacity check.
  ///
  /// - Parameters:
  ///   - method: a number of enum Method, or of `InternalMethod` on a link.
  ///   - timeMillis: of a Pipeline's call what is left of the deadline, of a link's call the deadline
  ///     on the shard's clock; 0: none.
  package mutating func writeCall(
    _ field: CallField, id: UInt64, method: UInt32, request: UnsafeRawBufferPointer,
    timeMillis: UInt64 = 0, requestID: UnsafeRawBufferPointer? = nil
  ) {
    let requestID = requestID ?? noBytes
    let size =
      WireSize.optionalVarintField(1, id) &+ WireSize.optionalVarintField(2, UInt64(method))
      &+ WireSize.optionalBytesField(3, count: request.count)
      &+ WireSize.optionalVarintField(4, timeMillis)
      &+ WireSize.optionalBytesField(5, count: requestID.count)
    writeFields(size: WireSize.bytesField(field.number, count: size)) { cursor in
      cursor.put(tag: .bytes(field.number))
      cursor.put(varint: UInt64(truncatingIfNeeded: size))
      cursor.put(1, optionalVarint: id)
      cursor.put(2, optionalVarint: UInt64(method))
      cursor.put(4, optionalVarint: timeMillis)
      cursor.put(5, optionalBytes: requestID)
      cursor.put(3, optionalBytes: request)
    }
  }

  /// A whole call but for its request, whose bytes must follow: `requestBytes` of them.
  package mutating func writeCallHead(
    _ field: CallField, id: UInt64, method: UInt32, requestBytes: Int, timeMillis: UInt64 = 0
  ) {
    let request = WireSize.optionalBytesField(3, count: requestBytes)
    let size =
      WireSize.optionalVarintField(1, id) &+ WireSize.optionalVarintField(2, UInt64(method))
      &+ WireSize.optionalVarintField(4, timeMillis) &+ request
    let headBytes = WireSize.bytesField(field.number, count: size) &- requestBytes
    writeFields(size: headBytes) { cursor in
      cursor.put(tag: .bytes(field.number))
      cursor.put(varint: UInt64(truncatingIfNeeded: size))
      cursor.put(1, optionalVarint: id)
      cursor.put(2, optionalVarint: UInt64(method))
      cursor.put(4, optionalVarint: timeMillis)
      if requestBytes > 0 {
        cursor.put(tag: .bytes(3))
        cursor.put(varint: UInt64(requestBytes))
      }
    }
  }

  /// Opens a call whose request is written next, in place.
  package mutating func beginCall(
    _ field: CallField, id: UInt64, method: UInt32, timeMillis: UInt64 = 0, sizeHint: Int = 0
  ) -> BatchMark {
    beginBatchMessage(field.number, body: 3, sizeHint: sizeHint) { cursor in
      cursor.put(1, optionalVarint: id)
      cursor.put(2, optionalVarint: UInt64(method))
      cursor.put(4, optionalVarint: timeMillis)
    }
  }

  package mutating func endCall(_ mark: BatchMark) {
    endBatchMessage(mark)
  }

  /// `hello` of a RouterFrame or ShardFrame: an encoded Hello or HelloReply.
  package mutating func writeHello(_ message: UnsafeRawBufferPointer) {
    writeBytesField(1, message)
  }

  /// `heard_millis` of a RouterFrame: the newest of its shard's clocks that the router has heard.
  package mutating func writeHeard(millis: UInt64) {
    writeVarintField(5, millis)
  }

  /// One of a RouterFrame's `cancels`.
  package mutating func writeCancel(id: UInt64) {
    writeVarintField(3, id)
  }

  /// One of a RouterFrame's `credits`.
  package mutating func writeCredit(id: UInt64, bytes: UInt64) {
    let mark = beginLengthDelimited(4)
    writeOptionalVarintField(1, id)
    writeOptionalVarintField(2, bytes)
    endLengthDelimited(mark)
  }
}

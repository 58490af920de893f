// Calls appended to a batch under construction. A Pipeline's Call and a link's LinkCall have the
// same field numbers for everything written to both (see `Carrier`): `timeMillis` is
// `timeout_millis` of the one and `deadline_millis` of the other. The buffer is the link's own; its
// event loop's thread.

import NIOCore

private typealias Field = LinkV1.LinkCall.Field

extension ByteBuffer {
  /// A whole call around a request that is encoded already. One capacity check.
  ///
  /// - Parameters:
  ///   - method: a number of enum Method, or of `InternalMethod` on a link.
  ///   - timeMillis: of a Pipeline's call the rest of the deadline, of a link's call the deadline
  ///     on the shard's clock; 0: none.
  package mutating func writeCall(
    _ carrier: Carrier, id: UInt64, method: UInt32, request: UnsafeRawBufferPointer,
    timeMillis: UInt64 = 0, requestID: UnsafeRawBufferPointer? = nil
  ) {
    let requestID = requestID ?? noBytes
    let size =
      callHeadSize(id: id, method: method, timeMillis: timeMillis)
      &+ WireSize.optionalBytesField(Field.request.number, count: request.count)
      &+ WireSize.optionalBytesField(Field.requestID.number, count: requestID.count)
    let field = carrier.calls.number
    writeFields(size: WireSize.bytesField(field, count: size)) { cursor in
      cursor.put(tag: .bytes(field))
      cursor.put(varint: UInt64(truncatingIfNeeded: size))
      cursor.putCallHead(id: id, method: method, timeMillis: timeMillis)
      cursor.put(Field.requestID.number, optionalBytes: requestID)
      cursor.put(Field.request.number, optionalBytes: request)
    }
  }

  /// A call on a link with fields that few calls have.
  ///
  /// - Parameters:
  ///   - restriction: an encoded `Restriction`, of a part of a fan-out whose caller has rights on
  ///     only some keys; nil: it has them on all.
  ///   - traceContext: of a traced call; nil: it isn't traced.
  package mutating func writeLinkCall(
    id: UInt64, method: UInt32, request: UnsafeRawBufferPointer, deadlineMillis: UInt64,
    restriction: ByteBuffer?, traceContext: ByteBuffer?
  ) {
    let call = beginLengthDelimited(LinkV1.RouterFrame.Field.calls, sizeHint: 256)
    write(Field.id, id)
    write(Field.method, UInt64(method))
    append(Field.request, request)
    write(Field.deadlineMillis, deadlineMillis)
    traceContext?.withUnsafeReadableBytes { append(Field.traceContext, $0) }
    restriction?.withUnsafeReadableBytes { append(Field.restriction, $0) }
    endLengthDelimited(call)
  }

  /// A whole call except for its request, whose bytes must follow: `requestBytes` of them.
  ///
  /// - Parameter traceContext: of a traced call on a link; nil: it isn't traced.
  package mutating func writeCallHead(
    _ carrier: Carrier, id: UInt64, method: UInt32, requestBytes: Int, timeMillis: UInt64 = 0,
    traceContext: ByteBuffer? = nil
  ) {
    let traceContext = traceContext ?? ByteBuffer()
    let size =
      callHeadSize(id: id, method: method, timeMillis: timeMillis)
      &+ WireSize.optionalBytesField(Field.traceContext.number, count: traceContext.readableBytes)
      &+ WireSize.optionalBytesField(Field.request.number, count: requestBytes)
    let field = carrier.calls.number
    writeFields(size: WireSize.bytesField(field, count: size) &- requestBytes) { cursor in
      cursor.put(tag: .bytes(field))
      cursor.put(varint: UInt64(truncatingIfNeeded: size))
      cursor.putCallHead(id: id, method: method, timeMillis: timeMillis)
      traceContext.withUnsafeReadableBytes {
        cursor.put(Field.traceContext.number, optionalBytes: $0)
      }
      if requestBytes > 0 {
        cursor.put(tag: .bytes(Field.request.number))
        cursor.put(varint: UInt64(requestBytes))
      }
    }
  }

  @inline(__always)
  private func callHeadSize(id: UInt64, method: UInt32, timeMillis: UInt64) -> Int {
    WireSize.optionalVarintField(Field.id.number, id)
      &+ WireSize.optionalVarintField(Field.method.number, UInt64(method))
      &+ WireSize.optionalVarintField(Field.deadlineMillis.number, timeMillis)
  }
}

extension WireCursor {
  @inline(__always)
  fileprivate mutating func putCallHead(id: UInt64, method: UInt32, timeMillis: UInt64) {
    put(Field.id.number, optionalVarint: id)
    put(Field.method.number, optionalVarint: UInt64(method))
    put(Field.deadlineMillis.number, optionalVarint: timeMillis)
  }
}

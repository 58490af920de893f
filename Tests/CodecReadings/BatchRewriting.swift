// Batches and frames as our own writers write what our readers have read.

import NIOCore
import RingstoreAPI

extension TwoReaders {
  /// Thrown for what is read but never written.
  private struct Unwritten: Error {}

  @Sendable static func routerFrameRewritten(_ message: UnsafeRawBufferPointer) throws -> [UInt8]? {
    var frame = RouterFrameReader(message)
    return try written { buffer in
      while let part = try frame.next() {
        switch part {
        case .hello(let hello): buffer.writeHello(hello)
        case .call(let call): try write(call, .link, into: &buffer)
        case .cancel(let id): buffer.writeCancel(id: id)
        case .credit(let id, let bytes): buffer.writeCredit(id: id, bytes: bytes)
        case .heard(let millis): buffer.writeHeard(millis: millis)
        }
      }
    }
  }

  @Sendable static func shardFrameRewritten(_ message: UnsafeRawBufferPointer) throws -> [UInt8]? {
    var frame = ShardFrameReader(message)
    return try written { buffer in
      while let part = try frame.next() {
        switch part {
        case .hello(let hello): buffer.writeHello(hello)
        case .reply(let reply): try write(reply, .link, more: reply.more, into: &buffer)
        case .draining(let value):
          guard value else { throw Unwritten() }
          buffer.writeDraining()
        case .clock(let millis): buffer.writeClock(millis: millis)
        }
      }
    }
  }

  /// By one of three writers, as the call's id has it: whole, in two steps, or the head first.
  static func write(
    _ call: CallView, _ field: CallField, into buffer: inout ByteBuffer
  ) throws {
    guard call.traceContext.isEmpty, !call.hasUnknownField else { throw Unwritten() }
    let time = max(UInt64(call.timeoutMillis), call.deadlineMillis)
    guard call.requestID.isEmpty, call.id % 3 != 0 else {
      return buffer.writeCall(
        field, id: call.id, method: call.method, request: call.request,
        timeMillis: time, requestID: call.requestID)
    }
    if call.id % 3 == 1 {
      buffer.writeCallHead(
        field, id: call.id, method: call.method, requestBytes: call.request.count,
        timeMillis: time)
      buffer.writeBytes(call.request)
      return
    }
    let mark = buffer.beginCall(
      field, id: call.id, method: call.method, timeMillis: time,
      sizeHint: Int(call.id >> 2 & 255))
    buffer.writeBytes(call.request)
    buffer.endCall(mark)
  }

  /// Replies that failed by one writer; others by one of two, as the reply's id has it.
  static func write(
    _ reply: ReplyView, _ field: ReplyField, more: Bool, into buffer: inout ByteBuffer
  ) throws {
    guard reply.isOK else {
      guard reply.response.isEmpty, !more else { throw Unwritten() }
      return buffer.writeReply(
        field, id: reply.id, code: reply.code, message: reply.message, details: reply.details)
    }
    guard reply.message.isEmpty, reply.details.isEmpty else { throw Unwritten() }
    if reply.id % 2 == 0 {
      return buffer.writeReply(field, id: reply.id, response: reply.response, more: more)
    }
    let mark = buffer.beginReply(
      field, id: reply.id, sizeHint: Int(reply.id >> 1 & 255), more: more)
    buffer.writeBytes(reply.response)
    buffer.endReply(mark)
  }
}

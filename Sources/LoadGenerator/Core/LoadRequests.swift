// Calls as requests, in protobuf or as lines, and whether their replies are as expected (for RESP:
// RESPCalls). Owned by one event loop's part of the load, on its thread.

import NIOCore
import RingstoreAPI

final class LoadRequests {
  let bytes: KeyBytes
  private let database: UInt32
  /// Whether a Get must find its key.
  var mustFind = false

  init(_ settings: LoadSettings) {
    bytes = KeyBytes(settings.values)
    database = settings.database
  }

  static func rpc(_ kind: CallKind) -> RPC {
    switch kind {
    case .get: V1.KeyStore.get
    case .set: V1.KeyStore.set
    case .incr: V1.KeyStore.incrBy
    case .lpush: V1.KeyStore.lPush
    case .lpop: V1.KeyStore.lPop
    case .delete: V1.KeyStore.delete
    }
  }

  // MARK: - Requests

  /// Appends a request, inside a batched call if a number is given. Returns the request's bytes.
  func write(_ call: PlannedCall, batchID: UInt64? = nil, into buffer: inout ByteBuffer) -> Int {
    bytes.select(call.space, call.key)
    let key = bytes.key
    switch call.kind {
    case .get:
      return write(V1.Key(key: key, database: database), call.kind, batchID, &buffer)
    case .set:
      let message = V1.KeyValue(key: key, value: bytes.value, database: database)
      return write(message, call.kind, batchID, &buffer)
    case .incr:
      let message = V1.IncrByRequest(key: key, delta: 1, database: database)
      return write(message, call.kind, batchID, &buffer)
    case .lpush:
      return withUnsafePointer(to: bytes.value) { value in
        let values = RepeatedBytes(UnsafeBufferPointer(start: value, count: 1))
        let message = V1.ListInsert(key: key, values: values, database: database)
        return write(message, call.kind, batchID, &buffer)
      }
    case .lpop:
      return write(V1.PopRequest(key: key, database: database), call.kind, batchID, &buffer)
    case .delete:
      return write(V1.DeleteRequest(key: key, database: database), call.kind, batchID, &buffer)
    }
  }

  @inline(__always)
  private func write(
    _ message: some WireMessage, _ kind: CallKind, _ batchID: UInt64?, _ buffer: inout ByteBuffer
  ) -> Int {
    let count = message.byteCount
    if let batchID {
      let method = UInt32(bitPattern: Self.rpc(kind).method?.rawValue ?? 0)
      buffer.writeCallHead(.pipeline, id: batchID, method: method, requestBytes: count)
    }
    message.write(into: &buffer)
    return count
  }

  /// Appends a request of lines. Returns its bytes.
  func writeLines(_ call: PlannedCall, into buffer: inout ByteBuffer) -> Int {
    bytes.select(call.space, call.key)
    let start = buffer.writerIndex
    switch call.kind {
    case .get: buffer.writeStaticString("*2\r\nGET\r\n")
    case .set: buffer.writeStaticString("*3\r\nSET\r\n")
    case .incr: buffer.writeStaticString("*2\r\nINCR\r\n")
    case .lpush: buffer.writeStaticString("*3\r\nLPUSH\r\n")
    case .lpop: buffer.writeStaticString("*2\r\nLPOP\r\n")
    case .delete: buffer.writeStaticString("*2\r\nDEL\r\n")
    }
    buffer.writeBytes(bytes.key)
    if call.kind == .set || call.kind == .lpush {
      buffer.writeStaticString("\r\n")
      buffer.writeBytes(bytes.value)
    }
    buffer.writeStaticString("\r\n")
    return buffer.writerIndex - start
  }

  // MARK: - Replies

  /// The result of a call, from its reply's message.
  func outcome(of call: PlannedCall, response: UnsafeRawBufferPointer) -> CallOutcome {
    do throws(WireError) {
      switch call.kind {
      case .get, .lpop:
        let reply = try V1.Value(response)
        return reply.found ? outcome(reply.value, call) : missing(call)
      case .set:
        return try V1.Status(response).ok
          ? .done(found: true) : .failed(.wrongReply("a Set without a condition was not done"))
      case .incr:
        _ = try V1.IncrByResponse(response)
        return .done(found: true)
      case .lpush: return length(Int(clamping: try V1.Status(response).count))
      case .delete: return .done(found: try V1.Status(response).count > 0)
      }
    } catch {
      return .failed(.wrongReply("the reply is not a message: \(error.sentence)"))
    }
  }

  /// The same of a line.
  func outcome(of call: PlannedCall, line: UnsafeRawBufferPointer) -> CallOutcome {
    switch (LineReply(line), call.kind) {
    case (.failure(let failure), _): return .failed(failure)
    case (.missing, .get), (.missing, .lpop), (.missing, .delete): return missing(call)
    case (.text(let text), .get), (.text(let text), .lpop): return outcome(text, call)
    case (.text(let text), .set), (.text(let text), .delete):
      return text.elementsEqual("OK".utf8)
        ? .done(found: true) : .failed(.wrongReply("the reply is not OK"))
    case (.text(let text), .incr):
      return Self.number(text) == nil
        ? .failed(.wrongReply("the reply is not a number")) : .done(found: true)
    case (.text(let text), .lpush): return length(Self.number(text) ?? 0)
    case (.missing, _): return .failed(.wrongReply("the reply says that there is no such key"))
    }
  }

  /// Of a reply with a value.
  func outcome(_ value: UnsafeRawBufferPointer, _ call: PlannedCall) -> CallOutcome {
    bytes.isValue(value, ofKey: call.key)
      ? .done(found: true) : .failed(.wrongReply(bytes.complaint(about: value, ofKey: call.key)))
  }

  /// Of a reply that says that there is no such key.
  func missing(_ call: PlannedCall) -> CallOutcome {
    mustFind && call.kind == .get
      ? .failed(.wrongReply("a stored key is missing")) : .done(found: false)
  }

  /// Of a reply to a push, with the list's length.
  func length(_ count: Int) -> CallOutcome {
    count > 0
      ? .done(found: true) : .failed(.wrongReply("the list is empty after a push"))
  }

  private static func number(_ text: UnsafeRawBufferPointer) -> Int? {
    text.count > 20 ? nil : Int(String(decoding: text, as: UTF8.self))
  }
}

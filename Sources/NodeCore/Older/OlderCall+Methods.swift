// What each call of KVStore and KeyStore means in ringstore.v1. All of them are about database 0.

import NIOCore
import RingstoreAPI

extension OlderCall {
  private static let database: UInt32 = 0

  /// Reads the request and makes the first call. `message` is valid during this only.
  func begin(
    _ method: OlderMethod, _ message: UnsafeRawBufferPointer
  ) throws(CallError) {
    switch method {
    case .setVal: try setVal(message)
    case .getVal: try getVal(message)
    case .set: try set(message)
    case .get: try get(message)
    case .delete: try delete(message)
    case .lPush: try lPush(message)
    case .lRange: try lRange(message)
    case .lPop: try lPop(message)
    }
  }

  // MARK: - KVStore

  private func setVal(_ message: UnsafeRawBufferPointer) throws(CallError) {
    let request = try write(OlderSetNumberView.init, message)
    var digits = String(request.value)
    make(.set) { buffer in
      digits.withUTF8 {
        buffer.writeSetRequest(
          key: request.key, value: UnsafeRawBufferPointer($0), database: Self.database)
      }
    } next: { reply throws(CallError) in
      let isDone = try self.read(StatusReplyView.init, reply).ok
      try self.respond { $0.writeOlderSetResponse(success: isDone) }
    }
  }

  private func getVal(_ message: UnsafeRawBufferPointer) throws(CallError) {
    let request = try decode(OlderKeyView.init, message)
    make(.get) {
      $0.writeKeyRequest(key: request.key, database: Self.database)
    } next: { reply throws(CallError) in
      let found = try self.read(ValueReplyView.init, reply)
      let number = found.found ? try Self.int32(found.value) : nil
      try self.respond { $0.writeOlderGetResponse(number) }
    }
  }

  /// The number that the value spells, in the form that IncrBy takes.
  private static func int32(_ value: UnsafeRawBufferPointer) throws(CallError) -> Int32 {
    let text = String(decoding: value.prefix(longestIntegerBytes + 1), as: UTF8.self)
    guard let number = Int64(text), String(number) == text else { throw .notAnInteger }
    guard let small = Int32(exactly: number) else { throw .beyondInt32 }
    return small
  }

  private static var longestIntegerBytes: Int { 20 }

  // MARK: - KeyStore

  private func set(_ message: UnsafeRawBufferPointer) throws(CallError) {
    let request = try write(OlderKeyValueView.init, message)
    make(.set) {
      $0.writeSetRequest(key: request.key, value: request.value, database: Self.database)
    } next: { _ throws(CallError) in
      try self.respond { $0.writeOlderStatus("OK") }
    }
  }

  private func get(_ message: UnsafeRawBufferPointer) throws(CallError) {
    let request = try decode(OlderKeyView.init, message)
    make(.get) {
      $0.writeKeyRequest(key: request.key, database: Self.database)
    } next: { reply throws(CallError) in
      try self.respondValue(reply)
    }
  }

  private func delete(_ message: UnsafeRawBufferPointer) throws(CallError) {
    let request = try write(OlderKeyView.init, message)
    make(.delete) {
      $0.writeKeyRequest(key: request.key, database: Self.database)
    } next: { reply throws(CallError) in
      try self.respondCount(reply)
    }
  }

  private func lPush(_ message: UnsafeRawBufferPointer) throws(CallError) {
    let request = try write(OlderKeyValueView.init, message)
    make(.lPush) {
      $0.writeListInsertHead(key: request.key, database: Self.database)
      $0.writeListInsertValue(request.value)
    } next: { reply throws(CallError) in
      try self.respondCount(reply)
    }
  }

  private func lRange(_ message: UnsafeRawBufferPointer) throws(CallError) {
    let request = try decode(OlderListRangeView.init, message)
    let key = Array(request.key)
    make(.lRange) {
      $0.writeListRangeRequest(
        key: request.key, start: Int64(request.start), stop: Int64(request.stop),
        database: Self.database)
    } next: { reply throws(CallError) in
      let list = try self.read(ListValuesReplyView.init, reply)
      for value in list.values where !UTF8Text.isValid(value) { throw .notUTF8 }
      try self.respond(sizeHint: reply.count + key.count) { buffer in
        key.withUnsafeBytes { buffer.writeOlderDequeHead(key: $0) }
        for value in list.values { buffer.writeOlderDequeElement(value) }
      }
    }
  }

  /// The head is looked at first: an element that no reply can carry must not be lost.
  private func lPop(_ message: UnsafeRawBufferPointer) throws(CallError) {
    let request = try write(OlderKeyView.init, message)
    let key = Array(request.key)
    make(.lRange) {
      $0.writeListRangeRequest(key: request.key, start: 0, stop: 0, database: Self.database)
    } next: { reply throws(CallError) in
      let head = try self.read(ListValuesReplyView.init, reply).values.first { _ in true }
      if let head, !UTF8Text.isValid(head) { throw .notUTF8 }
      self.make(.lPop) { buffer in
        key.withUnsafeBytes { buffer.writeKeyRequest(key: $0, database: Self.database) }
      } next: { reply throws(CallError) in
        try self.respondValue(reply, isPopped: true)
      }
    }
  }

  // MARK: - Replies

  private func respondValue(
    _ reply: UnsafeRawBufferPointer, isPopped: Bool = false
  ) throws(CallError) {
    let found = try read(ValueReplyView.init, reply)
    guard found.found else { return try respond { $0.writeOlderNoValue() } }
    guard UTF8Text.isValid(found.value) else { throw isPopped ? .poppedAndNotUTF8 : .notUTF8 }
    try respond(sizeHint: reply.count + 16, isLast: isPopped) { $0.writeOlderValue(found.value) }
  }

  private func respondCount(_ reply: UnsafeRawBufferPointer) throws(CallError) {
    let count = try read(StatusReplyView.init, reply).count
    try respond { $0.writeOlderStatus("integer (\(count))") }
  }

  // MARK: - Reading

  private func decode<View: RequestView>(
    _ make: (UnsafeRawBufferPointer) throws(WireError) -> View, _ message: UnsafeRawBufferPointer
  ) throws(CallError) -> View {
    do throws(WireError) {
      return try make(message)
    } catch {
      throw .undecodable(error)
    }
  }

  /// Decodes the request of a call that changes something: none of what it asks for may be ignored.
  private func write<View: RequestView>(
    _ make: (UnsafeRawBufferPointer) throws(WireError) -> View, _ message: UnsafeRawBufferPointer
  ) throws(CallError) -> View {
    let request = try decode(make, message)
    if request.hasUnknownField { throw .unknownField }
    return request
  }

  private func read<View>(
    _ make: (UnsafeRawBufferPointer) throws(WireError) -> View, _ reply: UnsafeRawBufferPointer
  ) throws(CallError) -> View {
    do throws(WireError) {
      return try make(reply)
    } catch {
      throw .internalError("the reply can't be decoded (\(error))")
    }
  }
}

extension CallError {
  /// Another client put the element there after the list had been looked at: no error that stands
  /// for "nothing has happened" would be true.
  static var poppedAndNotUTF8: CallError {
    CallError(
      .outcomeUnknown,
      "The element was removed from the list, but it is not UTF-8 and no text can carry it.")
  }
}

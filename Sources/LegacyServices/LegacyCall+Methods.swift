// What each call of KVStore and KeyStore means in ringstore.v1. All of them are about database 0.

import Commands
import NIOCore
import NodeCore
import RingstoreAPI
internal import TextForms

extension LegacyCall {
  private static let database: UInt32 = 0

  /// Reads the request and makes the first call. `message` is valid during this only.
  func begin(
    _ method: LegacyMethod, _ message: UnsafeRawBufferPointer
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
    let request = try write(Legacy.SetRequest.self, message)
    var digits = String(request.value)
    digits.withUTF8 { digits in
      let call = V1.KeyValue(
        key: request.key, value: UnsafeRawBufferPointer(digits), database: Self.database)
      make(Command.set, call) { status throws(CallError) in
        try self.respond { Legacy.SetResponse(success: status.ok).write(into: &$0) }
      }
    }
  }

  private func getVal(_ message: UnsafeRawBufferPointer) throws(CallError) {
    let request = try Legacy.GetRequest(decoding: message)
    let call = V1.Key(key: request.key, database: Self.database)
    make(Command.get, call) { found throws(CallError) in
      let number = found.found ? try Self.int32(found.value) : 0
      try self.respond { Legacy.GetResponse(value: number, found: found.found).write(into: &$0) }
    }
  }

  /// The number in the value, in the form that IncrBy accepts.
  private static func int32(_ value: UnsafeRawBufferPointer) throws(CallError) -> Int32 {
    guard let number = DecimalInteger.parse(value) else { throw .notAnInteger }
    guard let small = Int32(exactly: number) else { throw .beyondInt32 }
    return small
  }

  // MARK: - KeyStore. A missing key is an empty one, a missing value an empty text.

  private func set(_ message: UnsafeRawBufferPointer) throws(CallError) {
    let request = try write(Legacy.KeyValue.self, message)
    let call = V1.KeyValue(
      key: request.keyName, value: request.valueName, database: Self.database)
    make(Command.set, call) { _ throws(CallError) in
      try self.respond { $0.write(Legacy.Status.Field.result, "OK") }
    }
  }

  private func get(_ message: UnsafeRawBufferPointer) throws(CallError) {
    let request = try Legacy.Key(decoding: message)
    let call = V1.Key(key: request.keyName, database: Self.database)
    make(Command.get, call) { found throws(CallError) in try self.respondValue(found) }
  }

  private func delete(_ message: UnsafeRawBufferPointer) throws(CallError) {
    let request = try write(Legacy.Key.self, message)
    let call = V1.DeleteRequest(key: request.keyName, database: Self.database)
    make(Command.delete, call) { status throws(CallError) in try self.respondCount(status) }
  }

  private func lPush(_ message: UnsafeRawBufferPointer) throws(CallError) {
    let request = try write(Legacy.KeyValue.self, message)
    withUnsafePointer(to: request.valueName) { value in
      let call = V1.ListInsert(
        key: request.keyName,
        values: RepeatedBytes(UnsafeBufferPointer(start: value, count: 1)),
        database: Self.database)
      make(Command.lPush, call) { status throws(CallError) in try self.respondCount(status) }
    }
  }

  private func lRange(_ message: UnsafeRawBufferPointer) throws(CallError) {
    let request = try Legacy.ListRange(decoding: message)
    let key = Array(request.keyName)
    let call = V1.ListRange(
      key: request.keyName, start: Int64(request.start), stop: Int64(request.stop),
      database: Self.database)
    make(Command.lRange, call) { list throws(CallError) in
      for value in list.values where !UTF8Text.isValid(value) { throw .notUTF8 }
      try self.respond { buffer in
        key.withUnsafeBytes { key in
          Legacy.Deque(keyName: Legacy.Key(keyName: key), data: list.values).write(into: &buffer)
        }
      }
    }
  }

  /// The head is looked at first: an element that no reply can carry must not be lost.
  private func lPop(_ message: UnsafeRawBufferPointer) throws(CallError) {
    let request = try write(Legacy.Key.self, message)
    let key = Array(request.keyName)
    let look = V1.ListRange(key: request.keyName, start: 0, stop: 0, database: Self.database)
    make(Command.lRange, look) { list throws(CallError) in
      if let head = list.values.first, !UTF8Text.isValid(head) { throw .notUTF8 }
      key.withUnsafeBytes {
        let pop = V1.PopRequest(key: $0, database: Self.database)
        self.make(Command.lPop, pop) { found throws(CallError) in
          try self.respondValue(found, isPopped: true)
        }
      }
    }
  }

  // MARK: - Replies

  private func respondValue(_ found: V1.Value, isPopped: Bool = false) throws(CallError) {
    guard found.found else {
      return try respond { Legacy.ResponseVal(res: .noval(true)).write(into: &$0) }
    }
    guard UTF8Text.isValid(found.value) else { throw isPopped ? .poppedAndNotUTF8 : .notUTF8 }
    try respond(isLast: isPopped) {
      Legacy.ResponseVal(res: .value(Legacy.Value(valueName: found.value))).write(into: &$0)
    }
  }

  private func respondCount(_ status: V1.Status) throws(CallError) {
    try respond { $0.write(Legacy.Status.Field.result, "integer (\(status.count))") }
  }

  // MARK: - Reading

  /// Decodes the request of a call that changes something: no field of it may be ignored.
  private func write<Request: WireMessage>(
    _: Request.Type, _ message: UnsafeRawBufferPointer
  ) throws(CallError) -> Request {
    let request = try Request(decoding: message)
    if request.hasUnknownField { throw .unknownField }
    return request
  }
}

extension Legacy.KeyValue {
  fileprivate var keyName: UnsafeRawBufferPointer { key?.keyName ?? noBytes }
  fileprivate var valueName: UnsafeRawBufferPointer { value?.valueName ?? noBytes }
}

extension Legacy.ListRange {
  fileprivate var keyName: UnsafeRawBufferPointer { key?.keyName ?? noBytes }
}

extension CallError {
  /// Another client put the element there after the list had been looked at: an error that means
  /// "nothing has happened" would be wrong.
  static var poppedAndNotUTF8: CallError {
    CallError(
      .outcomeUnknown,
      "The element was removed from the list, but it is not UTF-8 and can't be sent as text.")
  }
}

// The calls on strings and on keys of any type.

import LargeMemory
import NIOCore
import RingstoreAPI
import Store

extension ShardCore {
  func get(
    _ message: UnsafeRawBufferPointer, into response: inout ByteBuffer, largerThan bytesMin: Int
  ) throws(CallError) -> (any ReplySource)? {
    let request = try decode(KeyView.init, message)
    let place = try find(request.key, request.database)
    let found: Store.StringView
    do throws(Store.StoreError) {
      guard let string = try store.string(at: place) else {
        response.writeMissingValue()
        return nil
      }
      found = string
    } catch {
      throw CallError(error, wanted: "a string")
    }
    if found.bytes.count < ReplySizes.certainlySmall(min(bytesMin, limits.maxMessageBytes)) {
      response.writeValue(found.bytes, version: found.version)
      return nil
    }
    return try getLarge(found, at: place, into: &response, largerThan: bytesMin)
  }

  @inline(never)
  private func getLarge(
    _ found: Store.StringView, at place: KeyPlace, into response: inout ByteBuffer,
    largerThan bytesMin: Int
  ) throws(CallError) -> (any ReplySource)? {
    let byteCount = WireSize.value(count: found.bytes.count, version: found.version)
    guard byteCount <= limits.maxMessageBytes else { throw .responseTooLarge(streamingCall: nil) }
    if byteCount > bytesMin, let pinned = try? store.pinnedString(at: place) {
      return ValueSource(pinned, isPopped: false)
    }
    // It is short enough, or lies in its entry, which nobody can hold on to.
    response.writeValue(found.bytes, version: found.version)
    return nil
  }

  func set(
    _ message: UnsafeRawBufferPointer, in block: LargeBlock?, into response: inout ByteBuffer
  ) throws(CallError) {
    let request = try decode(KeyValueView.init, message)
    try refuseUnserved(request.unservedField, request.hasUnknownField)
    let place = try find(request.key, request.database)
    let version = store.set(request.value, in: block, at: place)
    response.writeStatus(ok: true, count: 0, version: version)
  }

  func delete(
    _ message: UnsafeRawBufferPointer, into response: inout ByteBuffer
  ) throws(CallError) {
    let request = try decode(KeyView.init, message)
    try refuseUnserved(nil, request.hasUnknownField)
    let version = store.delete(at: try find(request.key, request.database))
    response.writeStatus(ok: true, count: version == nil ? 0 : 1, version: version ?? 0)
  }

  func exists(
    _ message: UnsafeRawBufferPointer, into response: inout ByteBuffer
  ) throws(CallError) {
    let request = try decode(KeyView.init, message)
    let type = try find(request.key, request.database).type
    response.writeStatus(ok: true, count: type == .none ? 0 : 1, version: 0)
  }

  func type(
    _ message: UnsafeRawBufferPointer, into response: inout ByteBuffer
  ) throws(CallError) {
    let request = try decode(KeyView.init, message)
    let type = try find(request.key, request.database).type
    response.writeTypeResponse(ValueType(rawValue: Int32(type.rawValue)) ?? .none)
  }

  func incrBy(
    _ message: UnsafeRawBufferPointer, into response: inout ByteBuffer
  ) throws(CallError) {
    let request = try decode(IncrByView.init, message)
    try refuseUnserved(nil, request.hasUnknownField)
    let place = try find(request.key, request.database)
    do throws(Store.StoreError) {
      let result = try store.incrBy(request.delta, at: place)
      response.writeIncrByResponse(value: result.value, version: result.version)
    } catch {
      throw CallError(error, wanted: "a string")
    }
  }

  /// A write with a field that this node doesn't serve or doesn't know is refused: a condition must
  /// never be passed over.
  @inline(__always)
  func refuseUnserved(
    _ field: String?, _ hasUnknownField: Bool
  ) throws(CallError) {
    if let field { throw .unservedField(field) }
    if hasUnknownField { throw .unknownField }
  }
}

enum ReplySizes {
  /// A `Value` with fewer bytes than this is within `limit` as a message, whatever its version.
  @inline(__always)
  static func certainlySmall(_ limit: Int) -> Int {
    limit &- aroundValueMax
  }

  /// The most bytes of a `Value` besides the value: its tag and length, found, version.
  private static let aroundValueMax = 11 + 2 + 11
}

extension CallError {
  /// What the store refuses, in the API's terms.
  ///
  /// - Parameter wanted: the type that the call works on: "a string", "a list".
  init(_ error: Store.StoreError, wanted: String) {
    switch error {
    case .wrongType:
      self = .wrongType(holds: wanted == "a list" ? "a string" : "a list", wanted: wanted)
    case .notAnInteger: self = .notAnInteger
    case .integerOverflow: self = .integerOverflow
    }
  }
}

// The calls on lists.

import NIOCore
import RingstoreAPI
import Store

extension ShardCore {
  func push(
    _ message: UnsafeRawBufferPointer, _ end: Store.ListEnd, into response: inout ByteBuffer
  ) throws(CallError) {
    let request = try decode(ListInsertView.init, message)
    try refuseUnserved(request.unservedField, request.hasUnknownField)
    guard request.count <= limits.maxItems else {
      throw .tooManyItems(request.count, max: limits.maxItems)
    }
    let at = try locate(request.key, request.database)
    do throws(Store.StoreError) {
      let result =
        if request.count == 1, let value = request.values.first(where: { _ in true }) {
          try store.push(at.key, end: end, slot: at.slot, database: at.database, value: value)
        } else {
          try store.push(
            at.key, end: end, slot: at.slot, database: at.database, values: request.values)
        }
      response.writeStatus(ok: true, count: Int64(result.length), version: result.version)
    } catch {
      throw CallError(error, wanted: "a list")
    }
  }

  func pop(
    _ message: UnsafeRawBufferPointer, _ end: Store.ListEnd, into response: inout ByteBuffer
  ) throws(CallError) {
    let request = try decode(KeyView.init, message)
    try refuseUnserved(nil, request.hasUnknownField)
    let at = try locate(request.key, request.database)
    do throws(Store.StoreError) {
      guard let popped = try store.pop(at.key, end: end, slot: at.slot, database: at.database)
      else {
        response.writeMissingValue()
        return
      }
      response.writeValue(popped.bytes, version: popped.version)
    } catch {
      throw CallError(error, wanted: "a list")
    }
  }

  func listLength(
    _ message: UnsafeRawBufferPointer, into response: inout ByteBuffer
  ) throws(CallError) {
    let request = try decode(KeyView.init, message)
    let at = try locate(request.key, request.database)
    do throws(Store.StoreError) {
      let length = try store.listLength(at.key, slot: at.slot, database: at.database)
      response.writeStatus(ok: true, count: Int64(length ?? 0), version: 0)
    } catch {
      throw CallError(error, wanted: "a list")
    }
  }

  func listRange(
    _ message: UnsafeRawBufferPointer, into response: inout ByteBuffer
  ) throws(CallError) {
    let request = try decode(ListRangeView.init, message)
    let at = try locate(request.key, request.database)
    let found: Store.ListView?
    do throws(Store.StoreError) {
      found = try store.range(
        at.key, start: request.start, stop: request.stop, slot: at.slot, database: at.database)
    } catch {
      throw CallError(error, wanted: "a list")
    }
    guard let view = found else {
      response.writeListValuesEnd(found: false, length: 0, firstIndex: 0)
      return
    }
    // A tag and a length stand before each value: at most 6 bytes, as values are below 2^35 bytes.
    let sizeMax = view.byteCount + 6 * view.count + ReplySizes.listValuesEndMax
    guard sizeMax <= limits.maxMessageBytes else {
      throw .responseTooLarge(streamingCall: nil)
    }
    response.reserveCapacity(response.writerIndex + sizeMax)
    view.forEach { value in
      response.writeListValue(value)
      return true
    }
    response.writeListValuesEnd(
      found: true, length: Int64(view.length), firstIndex: Int64(view.firstIndex))
  }
}

private enum ReplySizes {
  /// The fields behind the values: found, length and first index.
  static let listValuesEndMax = 2 + 11 + 11
}

// The calls on lists.

import NIOCore
import RingstoreAPI
import Store

extension ShardCore {
  func push(
    _ message: UnsafeRawBufferPointer, _ end: ListEnd, into response: inout ByteBuffer
  ) throws(CallError) {
    let request = try decode(ListInsertView.init, message)
    try refuseUnserved(
      request.unservedField, request.hasUnknownField, end == .head ? "LPush" : "RPush")
    let at = try locate(request.key, request.database)
    do throws(Store.StoreError) {
      let result = try store.push(
        at.key, end: end, slot: at.slot, database: at.database, values: request.values)
      response.writeStatus(ok: true, count: Int64(result.length), version: result.version)
    } catch {
      throw CallError(error, key: at.key)
    }
  }

  func pop(
    _ message: UnsafeRawBufferPointer, _ end: ListEnd, into response: inout ByteBuffer
  ) throws(CallError) {
    let request = try decode(KeyView.init, message)
    try refuseUnserved(nil, request.hasUnknownField, end == .head ? "LPop" : "RPop")
    let at = try locate(request.key, request.database)
    do throws(Store.StoreError) {
      guard let popped = try store.pop(at.key, end: end, slot: at.slot, database: at.database)
      else { return }
      response.writeValue(popped.bytes, version: popped.version)
    } catch {
      throw CallError(error, key: at.key)
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
      throw CallError(error, key: at.key)
    }
  }

  func listRange(
    _ message: UnsafeRawBufferPointer, into response: inout ByteBuffer
  ) throws(CallError) {
    let request = try decode(ListRangeView.init, message)
    let at = try locate(request.key, request.database)
    do throws(Store.StoreError) {
      guard
        let view = try store.range(
          at.key, start: request.start, stop: request.stop, slot: at.slot, database: at.database)
      else { return }
      try write(view, into: &response)
    } catch let error as Store.StoreError {
      throw CallError(error, key: at.key)
    }
  }
}

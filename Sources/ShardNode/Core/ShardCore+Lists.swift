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
    _ message: UnsafeRawBufferPointer, _ end: Store.ListEnd, into response: inout ByteBuffer,
    largerThan bytesMin: Int
  ) throws(CallError) -> (any ReplySource)? {
    let request = try decode(KeyView.init, message)
    try refuseUnserved(nil, request.hasUnknownField)
    let at = try locate(request.key, request.database)
    do throws(Store.StoreError) {
      // Looked at first: an element that no reply can carry must not be lost.
      guard
        let length = try store.peekLength(at.key, end: end, slot: at.slot, database: at.database)
      else {
        response.writeMissingValue()
        return nil
      }
      if length < ReplySizes.certainlySmall(min(bytesMin, limits.maxMessageBytes)),
        let popped = try store.pop(at.key, end: end, slot: at.slot, database: at.database)
      {
        response.writeValue(popped.bytes, version: popped.version)
        return nil
      }
    } catch {
      throw CallError(error, wanted: "a list")
    }
    return try popLarge(at, end, into: &response, largerThan: bytesMin)
  }

  @inline(never)
  private func popLarge(
    _ at: KeyTarget, _ end: Store.ListEnd, into response: inout ByteBuffer,
    largerThan bytesMin: Int
  ) throws(CallError) -> (any ReplySource)? {
    // The caller has found a list there. The version of the pop is not known before it.
    let length =
      (try? store.peekLength(at.key, end: end, slot: at.slot, database: at.database)) ?? 0
    guard WireSize.value(count: length, version: .max) <= limits.maxMessageBytes else {
      throw .responseTooLarge(streamingCall: "LRangeStream")
    }
    guard
      let popped = try? store.popPinned(
        at.key, end: end, slot: at.slot, database: at.database, longerThan: length - 1)
    else { return nil }
    guard WireSize.value(count: length, version: popped.version) <= bytesMin else {
      return ValueSource(popped, isPopped: true)
    }
    popped.withBytes(0..<length) { response.writeValue($0, version: popped.version) }
    return nil
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
    _ message: UnsafeRawBufferPointer, into response: inout ByteBuffer, largerThan bytesMin: Int
  ) throws(CallError) -> (any ReplySource)? {
    guard let view = try listView(message) else {
      response.writeMissingList()
      return nil
    }
    let bounds = ListReplySize.bounds(view)
    guard bounds.lowerBound <= limits.maxMessageBytes else {
      throw .responseTooLarge(streamingCall: "LRangeStream")
    }
    if bounds.upperBound <= min(bytesMin, limits.maxMessageBytes) {
      response.reserveCapacity(minimumWritableBytes: bounds.upperBound)
      view.forEach { value in
        response.writeListValue(value)
        return true
      }
      response.writeListEnd(of: view, firstIndex: view.firstIndex)
      return nil
    }
    let source = ListMessageSource(view)
    guard bytesMin == .max else { return source }
    while !source.measure() {}
    guard let byteCount = source.byteCount, byteCount <= limits.maxMessageBytes else {
      throw .responseTooLarge(streamingCall: "LRangeStream")
    }
    source.writeAll(into: &response)
    return nil
  }

  /// The parts of a range as LRangeStream sends them; nil where there is no such key.
  package func listParts(
    _ message: UnsafeRawBufferPointer
  ) throws(CallError) -> (any ReplySource)? {
    let method = InternalMethod.listStreamPart.rawValue
    counters.called(method)
    latestMark = .none
    if marks != nil { try beginMarking(method) }
    defer { if marks != nil { endMarking(method) } }
    return try listView(message).map {
      ListPartsSource($0, messageBytesMax: limits.maxMessageBytes)
    }
  }

  /// LRangeStream of a client on the shard itself.
  func streamList(
    _ message: UnsafeRawBufferPointer, to reply: ReplyHandle
  ) throws(CallError) {
    do throws(CallError) {
      guard let parts = try listParts(message) else {
        var missing = ByteBuffer()
        missing.writeMissingList()
        return reply.answer(missing, after: latestMark)
      }
      parts.start(reply, after: latestMark)
    } catch {
      counters.failed()
      reply.fail(error, after: latestMark)
    }
  }

  func listView(
    _ message: UnsafeRawBufferPointer
  ) throws(CallError) -> Store.ListView? {
    let request = try decode(ListRangeView.init, message)
    let at = try locate(request.key, request.database)
    do throws(Store.StoreError) {
      return try store.range(
        at.key, start: request.start, stop: request.stop, slot: at.slot, database: at.database)
    } catch {
      throw CallError(error, wanted: "a list")
    }
  }
}

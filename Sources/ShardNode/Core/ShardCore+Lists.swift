// The calls on lists.

import NIOCore
import NodeCore
import RingstoreAPI
import Store

extension ShardCore {
  func push(
    _ message: UnsafeRawBufferPointer, _ end: Store.ListEnd, into response: inout ByteBuffer
  ) throws(CallError) {
    let request = try decode(V1.ListInsert.self, message)
    try refuseUnserved(request.unservedField, request.hasUnknownField)
    guard request.values.count <= limits.maxItems else {
      throw .tooManyItems(request.values.count, max: limits.maxItems)
    }
    let place = try find(request.key, request.database)
    do throws(Store.StoreError) {
      let result = try push(request.values, count: request.values.count, end, at: place)
      V1.Status(ok: true, count: Int64(result.length), version: result.version).write(
        into: &response)
    } catch {
      throw CallError(error, wanted: "a list")
    }
  }

  private func push(
    _ values: some Sequence<UnsafeRawBufferPointer>, count: Int, _ end: Store.ListEnd,
    at place: KeyPlace
  ) throws(Store.StoreError) -> (length: Int, version: UInt64) {
    if count == 1, let value = values.first(where: { _ in true }) {
      return try store.push(value, end, at: place)
    }
    pushedValues.append(contentsOf: values)
    defer { pushedValues.removeAll(keepingCapacity: pushedValues.count <= Self.pushedValuesKept) }
    return try pushedValues.withUnsafeBufferPointer { (values) throws(Store.StoreError) in
      try store.push(values, end, at: place)
    }
  }

  func pop(
    _ message: UnsafeRawBufferPointer, _ end: Store.ListEnd, into response: inout ByteBuffer,
    largerThan bytesMin: Int
  ) throws(CallError) -> (any ReplySource)? {
    let request = try decode(V1.Key.self, message)
    try refuseUnserved(nil, request.hasUnknownField)
    let place = try find(request.key, request.database)
    let length: Int
    do throws(Store.StoreError) {
      // Looked at first: an element that no reply can carry must not be lost.
      guard let element = try store.outermost(end, at: place) else {
        // A Value that was not found has no fields.
        return nil
      }
      length = element.count
      if length < ReplySizes.certainlySmall(min(bytesMin, limits.maxMessageBytes)),
        let popped = try store.pop(end, at: place)
      {
        V1.Value(value: popped.bytes, found: true, version: popped.version).write(into: &response)
        return nil
      }
    } catch {
      throw CallError(error, wanted: "a list")
    }
    return try popLarge(length, end, at: place, into: &response, largerThan: bytesMin)
  }

  @inline(never)
  private func popLarge(
    _ length: Int, _ end: Store.ListEnd, at place: KeyPlace, into response: inout ByteBuffer,
    largerThan bytesMin: Int
  ) throws(CallError) -> (any ReplySource)? {
    // The version of the pop is not known before it.
    guard ReplySizes.value(count: length, version: .max) <= limits.maxMessageBytes else {
      throw .responseTooLarge(streamingCall: "LRangeStream")
    }
    // The caller has found a list there.
    guard let popped = try? store.popPinned(end, at: place) else { return nil }
    guard ReplySizes.value(count: length, version: popped.version) <= bytesMin else {
      return ValueSource(popped, isPopped: true)
    }
    popped.withBytes(0..<length) {
      V1.Value(value: $0, found: true, version: popped.version).write(into: &response)
    }
    return nil
  }

  func listLength(
    _ message: UnsafeRawBufferPointer, into response: inout ByteBuffer
  ) throws(CallError) {
    let request = try decode(V1.Key.self, message)
    let place = try find(request.key, request.database)
    do throws(Store.StoreError) {
      let length = try store.listLength(at: place)
      V1.Status(ok: true, count: Int64(length ?? 0), version: 0).write(into: &response)
    } catch {
      throw CallError(error, wanted: "a list")
    }
  }

  func listRange(
    _ message: UnsafeRawBufferPointer, into response: inout ByteBuffer, largerThan bytesMin: Int
  ) throws(CallError) -> (any ReplySource)? {
    guard let view = try listView(message) else {
      // A ListValues that was not found has no fields.
      return nil
    }
    let bounds = ListReplySize.bounds(view)
    guard bounds.lowerBound <= limits.maxMessageBytes else {
      throw .responseTooLarge(streamingCall: "LRangeStream")
    }
    if bounds.upperBound <= min(bytesMin, limits.maxMessageBytes) {
      response.reserveCapacity(minimumWritableBytes: bounds.upperBound)
      view.forEach { value in
        response.append(V1.ListValues.Field.values, value)
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
    _ message: UnsafeRawBufferPointer, _ context: CallContext
  ) throws(CallError) -> (any ReplySource)? {
    let method = InternalMethod.listStreamPart.rawValue
    try begin(method, context)
    defer { if marks != nil { endMarking(method) } }
    return try listView(message).map {
      ListPartsSource($0, messageBytesMax: limits.maxMessageBytes)
    }
  }

  /// LRangeStream of a client on the shard itself.
  func streamList(
    _ message: UnsafeRawBufferPointer, to reply: ReplyHandle, _ context: CallContext
  ) throws(CallError) {
    do throws(CallError) {
      guard let parts = try listParts(message, context) else {
        var missing = ByteBuffer()
        V1.ListValues().write(into: &missing)
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
    let request = try decode(V1.ListRange.self, message)
    let place = try find(request.key, request.database)
    do throws(Store.StoreError) {
      return try store.range(start: request.start, stop: request.stop, at: place)
    } catch {
      throw CallError(error, wanted: "a list")
    }
  }
}

// GetRange and SetRange: parts of a string.

import RingstoreAPI
import Store

extension Command {
  package static let getRange = onKey(
    V1.KeyStore.getRange, "GETRANGE key start stop", shows: .part,
    "Reads a part of a string; start and stop are included, negative ones count from the end."
  ) {
    (request: V1.GetRangeRequest, place, keyspace, context, reply: inout V1.Value)
      throws(CallError) in
    let found = try strings { () throws(Store.StoreError) in try keyspace.store.string(at: place) }
    guard let found else { return .done }
    let range = range(request.start, request.stop, of: found.bytes.count)
    reply.take(found, leftAt: place, context)
    reply.value = UnsafeRawBufferPointer(rebasing: found.bytes[range])
    guard reply.byteCount <= keyspace.limits.maxMessageBytes else {
      throw .responseTooLarge(streamingCall: nil)
    }
    guard reply.byteCount > context.bytesMin,
      let pinned = try? keyspace.store.pinnedString(at: place)
    else { return .done }
    return .source(ValueSource(pinned, range, ttlMillis: reply.ttlMillis, isPopped: false))
  }

  /// As in Redis: an index before the first byte means the first byte, for the stop as well.
  private static func range(_ start: Int64, _ stop: Int64, of count: Int) -> Range<Int> {
    if start < 0, stop < 0, start > stop { return 0..<0 }
    let count = Int64(count)
    let first = max(0, start < 0 ? count + start : start)
    let last = min(count - 1, max(0, stop < 0 ? count + stop : stop))
    return first <= last ? Int(first)..<Int(last) + 1 : 0..<0
  }

  package static let setRange = onKey(
    V1.KeyStore.setRange, "SETRANGE key offset value", shows: .count,
    "Writes bytes into a string at an offset; zeros fill a gap after its end."
  ) {
    (request: V1.SetRangeRequest, place, keyspace, _, reply: inout V1.Status)
      throws(CallError) in
    let old = try strings { () throws(Store.StoreError) in try keyspace.store.string(at: place) }
    let length = old?.bytes.count ?? 0
    if request.value.isEmpty {
      reply = V1.Status(ok: true, count: Int64(length), version: place.version)
      return .done
    }
    guard let offset = Int(exactly: request.offset), offset <= keyspace.limits.maxMessageBytes
    else { throw .valueTooLarge }
    let longer = max(length, offset + request.value.count)
    try checkLength(longer, keyspace)
    let version = keyspace.store.write(request.value, offset: offset, into: old, at: place)
    reply = V1.Status(ok: true, count: Int64(longer), version: version)
    return .done
  }
}

extension V1.GetRangeRequest: WordedMessage {
  init(_ words: CommandWords, database: UInt32) throws(ArgumentError) {
    self.init(
      key: words[1], database: database, start: try words.integer(2, "the start"),
      stop: try words.integer(3, "the stop"))
  }
}

extension V1.SetRangeRequest: WordedMessage {
  init(_ words: CommandWords, database: UInt32) throws(ArgumentError) {
    self.init(
      key: words[1], database: database, offset: UInt64(try words.count(2, "the offset")),
      value: words[3])
  }
}

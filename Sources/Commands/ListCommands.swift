// The commands on lists.

import NIOCore
import RingstoreAPI
import Store

extension Command {
  static let onLists: [Command] = [
    .lPush, .rPush, .lPop, .rPop, .lPopMany, .rPopMany, .lRange, .lRangeStream, .lLen, .lIndex,
    .lSet, .lTrim, .lRem, .lInsert, .lPos, .lMove,
  ]

  package static let lPush = push(
    V1.KeyStore.lPush, .head, "LPUSH",
    "Inserts values at the front of a list, one after another; creates the list if needed.",
    ifPresent: "Inserts values at the front of an existing list, one after another.")

  package static let rPush = push(
    V1.KeyStore.rPush, .tail, "RPUSH",
    "Adds values at the end of a list; creates the list if needed.",
    ifPresent: "Adds values at the end of an existing list.")

  @inline(__always)
  private static func push(
    _ rpc: RPC, _ end: Store.ListEnd, _ name: String, _ summary: String, ifPresent: String
  ) -> KeyCommand<V1.ListInsert, V1.Status> {
    let onlyIfPresent = RequestForm("\(name)X key value [value ...]", .count, ifPresent) {
      words, database in
      V1.ListInsert(
        key: words[1], values: words.values(from: 2), database: database, onlyIfPresent: true)
    }
    return onKey(
      rpc, "\(name) key value [value ...]", shows: .count, summary, also: [onlyIfPresent]
    ) {
      (request: V1.ListInsert, place, keyspace, _, reply: inout V1.Status)
        throws(CallError) in
      guard request.values.count <= keyspace.limits.maxItems else {
        throw .tooManyItems(request.values.count, max: keyspace.limits.maxItems)
      }
      if request.onlyIfPresent, place.type == .none {
        reply = V1.Status(ok: false)
        return .done
      }
      let result = try lists { () throws(Store.StoreError) in
        try keyspace.withValues(request.values) { (values) throws(Store.StoreError) in
          try keyspace.store.push(values, end, at: place)
        }
      }
      reply.ok = true
      reply.count = Int64(result.length)
      reply.version = result.version
      return .done
    }
  }

  package static let lLen = onKey(
    V1.KeyStore.lLen, "LLEN key", shows: .count,
    "Counts the values of a list; a missing list has 0."
  ) { (_: V1.Key, place, keyspace, _, reply: inout V1.Status) throws(CallError) in
    let length = try lists { () throws(Store.StoreError) in
      try keyspace.store.listLength(at: place)
    }
    reply = V1.Status(ok: true, count: Int64(length ?? 0))
    return .done
  }

  package static let lIndex = onKey(
    V1.KeyStore.lIndex, "LINDEX key index", shows: .element,
    "Reads one value of a list; a negative index counts from the end."
  ) {
    (request: V1.ListIndexRequest, place, keyspace, context, reply: inout V1.Value)
      throws(CallError) in
    let found = try lists { () throws(Store.StoreError) in
      try keyspace.store.element(at: request.index, at: place)
    }
    guard let found else { return .done }
    let byteCount = ReplySizes.value(count: found.bytes.count, version: found.version)
    guard byteCount <= keyspace.limits.maxMessageBytes else {
      throw .responseTooLarge(streamingCall: "LRangeStream")
    }
    guard byteCount > context.bytesMin,
      let pinned = keyspace.store.pinnedElement(found, at: request.index, at: place)
    else {
      reply = V1.Value(value: found.bytes, found: true, version: found.version)
      return .done
    }
    return .source(ValueSource(pinned, isPopped: false))
  }

  package static let lSet = onKey(
    V1.KeyStore.lSet, "LSET key index value", shows: .ok,
    "Replaces one value of a list; a negative index counts from the end."
  ) {
    (request: V1.ListSetRequest, place, keyspace, _, reply: inout V1.Status)
      throws(CallError) in
    let result = try lists { () throws(Store.StoreError) in
      try keyspace.store.setElement(request.value, at: request.index, at: place)
    }
    guard let result else {
      throw place.type == .none ? .noSuchKey : .indexOutOfRange(request.index)
    }
    reply = V1.Status(ok: true, count: Int64(result.length), version: result.version)
    return .done
  }

  package static let lTrim = onKey(
    V1.KeyStore.lTrim, "LTRIM key start stop", shows: .ok,
    "Keeps a range of a list and removes the rest; start and stop as for LRANGE.",
    needsMemory: false
  ) {
    (request: V1.ListRange, place, keyspace, _, reply: inout V1.Status)
      throws(CallError) in
    let result = try lists { () throws(Store.StoreError) in
      try keyspace.store.trim(start: request.start, stop: request.stop, at: place)
    }
    reply = V1.Status(ok: true, count: Int64(result.length), version: result.version)
    return .done
  }

  /// What the store refuses of a command on lists, in the API's terms.
  @inline(__always)
  static func lists<R>(_ body: () throws(Store.StoreError) -> R) throws(CallError) -> R {
    do throws(Store.StoreError) {
      return try body()
    } catch {
      throw CallError(error, wanted: "a list", holds: "a string")
    }
  }
}

// The commands on lists.

import NIOCore
import RingstoreAPI
import Store

extension Command {
  static let onLists: [Command] = [.lPush, .rPush, .lPop, .rPop, .lRange, .lRangeStream, .lLen]

  package static let lPush = push(
    V1.KeyStore.lPush, .head, "LPUSH key value [value ...]",
    "Puts values in front of a list, one after another; makes the list if need be.")

  package static let rPush = push(
    V1.KeyStore.rPush, .tail, "RPUSH key value [value ...]",
    "Puts values at the end of a list; makes the list if need be.")

  @inline(__always)
  private static func push(
    _ rpc: RPC, _ end: Store.ListEnd, _ usage: String, _ summary: String
  ) -> KeyCommand<V1.ListInsert, V1.Status> {
    onKey(rpc, usage, shows: .count, summary) {
      (request: V1.ListInsert, place, context) throws(CallError) in
      guard request.values.count <= context.limits.maxItems else {
        throw .tooManyItems(request.values.count, max: context.limits.maxItems)
      }
      let result = try lists { () throws(Store.StoreError) in
        try context.keyspace.withValues(request.values) { (values) throws(Store.StoreError) in
          try context.store.push(values, end, at: place)
        }
      }
      return .reply(V1.Status(ok: true, count: Int64(result.length), version: result.version))
    }
  }

  package static let lPop = pop(
    V1.KeyStore.lPop, .head, "LPOP key",
    "Takes the first value of a list away and answers it.")

  package static let rPop = pop(
    V1.KeyStore.rPop, .tail, "RPOP key",
    "Takes the last value of a list away and answers it.")

  @inline(__always)
  private static func pop(
    _ rpc: RPC, _ end: Store.ListEnd, _ usage: String, _ summary: String
  ) -> KeyCommand<V1.Key, V1.Value> {
    onKey(rpc, usage, shows: .taken, summary, needsMemory: false) {
      (_: V1.Key, place, context) throws(CallError) -> Outcome<V1.Value> in
      // Looked at first: an element that no reply can carry must not be lost.
      let outermost = try lists { () throws(Store.StoreError) in
        try context.store.outermost(end, at: place)
      }
      guard let outermost else { return .empty }
      guard outermost.count < ReplySizes.certainlySmall(context),
        let popped = try? context.store.pop(end, at: place)
      else { return try popLarge(outermost.count, end, at: place, context) }
      return .reply(V1.Value(value: popped.bytes, found: true, version: popped.version))
    }
  }

  @inline(never)
  private static func popLarge(
    _ byteCount: Int, _ end: Store.ListEnd, at place: KeyPlace, _ context: ExecutionContext
  ) throws(CallError) -> Outcome<V1.Value> {
    // The version of the pop is not known before it.
    let bytesMax = ReplySizes.value(count: byteCount, version: .max)
    guard bytesMax <= context.limits.maxMessageBytes else {
      throw .responseTooLarge(streamingCall: "LRangeStream")
    }
    if bytesMax <= context.bytesMin, let popped = try? context.store.pop(end, at: place) {
      return .reply(V1.Value(value: popped.bytes, found: true, version: popped.version))
    }
    guard let popped = try? context.store.popPinned(end, at: place) else {
      return .empty
    }
    return .source(ValueSource(popped, isPopped: true))
  }

  package static let lLen = onKey(
    V1.KeyStore.lLen, "LLEN key", shows: .count,
    "Counts the values of a list; a missing list has 0."
  ) { (_: V1.Key, place, context) throws(CallError) in
    let length = try lists { () throws(Store.StoreError) in
      try context.store.listLength(at: place)
    }
    return .reply(V1.Status(ok: true, count: Int64(length ?? 0)))
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

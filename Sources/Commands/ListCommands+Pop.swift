// The commands that remove values from a list. A pop may name several lists, and wait for a value.

import NIOCore
import RingstoreAPI
import Store

extension Command {
  package static let lPop = pop(
    V1.KeyStore.lPop, .head, "LPOP key [count]",
    "Removes and returns the first value of a list, or several.", lPopMany)

  package static let rPop = pop(
    V1.KeyStore.rPop, .tail, "RPOP key [count]",
    "Removes and returns the last value of a list, or several.", rPopMany)

  /// - Parameter many: the call that the words with a count mean.
  @inline(__always)
  private static func pop(
    _ rpc: RPC, _ end: Store.ListEnd, _ usage: String, _ summary: String,
    _ many: KeyCommand<V1.PopManyRequest, V1.ListValues>
  ) -> KeyCommand<V1.PopRequest, V1.Value> {
    let otherCall: CommandForm.OtherCall = { words, database throws(ArgumentError) in
      words.count == 2 ? nil : many.call(try V1.PopManyRequest(words, database: database))
    }
    return onKey(
      rpc, usage, shows: .taken, summary, orCall: otherCall, also: [waiting(end)],
      needsMemory: false,
      otherKeys: { (try? V1.PopRequest($0)).map { Array($0.otherKeys) } ?? [] }
    ) {
      (request: V1.PopRequest, place, keyspace, context, reply: inout V1.Value)
        throws(CallError) in
      if request.otherKeys.count > 0 || request.waitMillis > 0 {
        return try popOrWait(request, end, at: place, keyspace, context, &reply)
      }
      return try popOne(end, at: place, of: noBytes, keyspace, context, &reply) ?? .done
    }
  }

  /// Pops from one list; nil if there is none.
  ///
  /// - Parameter key: the key in the reply; empty: none.
  @inline(__always)
  private static func popOne(
    _ end: Store.ListEnd, at place: KeyPlace, of key: UnsafeRawBufferPointer,
    _ keyspace: Keyspace, _ context: ExecutionContext, _ reply: inout V1.Value
  ) throws(CallError) -> Outcome? {
    // Looked at first: an element that no reply can carry must not be lost.
    let outermost = try lists { () throws(Store.StoreError) in
      try keyspace.store.outermost(end, at: place)
    }
    guard let outermost else { return nil }
    guard outermost.count + key.count < ReplySizes.certainlySmall(keyspace, context),
      let popped = try? keyspace.store.pop(end, at: place)
    else {
      return try popLarge(outermost.count, end, at: place, of: key, keyspace, context, &reply)
    }
    reply.value = popped.bytes
    reply.found = true
    reply.version = popped.version
    reply.key = key
    return .done
  }

  @inline(never)
  private static func popLarge(
    _ byteCount: Int, _ end: Store.ListEnd, at place: KeyPlace, of key: UnsafeRawBufferPointer,
    _ keyspace: Keyspace, _ context: ExecutionContext, _ reply: inout V1.Value
  ) throws(CallError) -> Outcome {
    // The version of the pop is not known before it.
    let bytesMax = ReplySizes.value(count: byteCount, version: .max, key: key)
    guard bytesMax <= keyspace.limits.maxMessageBytes else {
      throw .responseTooLarge(streamingCall: "LRangeStream")
    }
    if bytesMax <= context.bytesMin, let popped = try? keyspace.store.pop(end, at: place) {
      reply = V1.Value(value: popped.bytes, found: true, version: popped.version, key: key)
      return .done
    }
    guard let popped = try? keyspace.store.popPinned(end, at: place) else {
      return .done
    }
    return .source(ValueSource(popped, isPopped: true, key: key))
  }

  /// Pops from the first of several lists that there is, or waits for one.
  @inline(never)
  private static func popOrWait(
    _ request: V1.PopRequest, _ end: Store.ListEnd, at place: KeyPlace,
    _ keyspace: Keyspace, _ context: ExecutionContext, _ reply: inout V1.Value
  ) throws(CallError) -> Outcome {
    let others = request.otherKeys
    guard others.count < keyspace.limits.popKeysMax else {
      throw .tooManyItems(others.count + 1, max: keyspace.limits.popKeysMax)
    }
    for key in others {
      try keyspace.checkSlot(of: key, request.database, place.lookup.slot, context.call)
    }
    let wait = try ListWait(request.waitMillis, others, keyspace.limits)
    let isOne = others.count == 0
    let first = isOne ? noBytes : request.key
    if let outcome = try popOne(end, at: place, of: first, keyspace, context, &reply) {
      return outcome
    }
    for key in others {
      let place = try keyspace.find(key, request.database, context.call)
      if let outcome = try popOne(end, at: place, of: key, keyspace, context, &reply) {
        return outcome
      }
    }
    return wait.map { .waiting($0) } ?? .done
  }

  /// The words of a pop that waits.
  private static func waiting(_ end: Store.ListEnd) -> RequestForm<V1.PopRequest> {
    RequestForm(
      "\(end == .head ? "BLPOP" : "BRPOP") key [key ...] timeout", .popped,
      "Removes and returns the \(end == .head ? "first" : "last") value of the first list that "
        + "has one, and waits for one until the timeout; 0: the longest wait."
    ) { words, database throws(ArgumentError) in
      // A reply names its list if the request has several: a single one is named twice.
      V1.PopRequest(
        key: words[1], database: database,
        waitMillis: try words.waitMillis(words.count - 1),
        otherKeys: words.values(from: words.count == 3 ? 1 : 2, to: words.count - 1))
    }
  }

  package static let lPopMany = popMany(
    V1.KeyStore.lPopMany, .head, "LPOPMANY key count",
    "Removes and returns the first values of a list.")

  package static let rPopMany = popMany(
    V1.KeyStore.rPopMany, .tail, "RPOPMANY key count",
    "Removes and returns the last values of a list, the last one first.")

  @inline(__always)
  private static func popMany(
    _ rpc: RPC, _ end: Store.ListEnd, _ usage: String, _ summary: String
  ) -> KeyCommand<V1.PopManyRequest, V1.ListValues> {
    onKey(rpc, usage, shows: .taken, summary, needsMemory: false) {
      (request: V1.PopManyRequest, place, keyspace, _, _: inout V1.ListValues)
        throws(CallError) in
      guard let view = try view(ofOutermost: Int(request.count), end, at: place, keyspace)
      else {
        return .done
      }
      if view.count > 0 { _ = keyspace.store.removeOutermost(view.count, end, at: place) }
      return .list(view, isTaken: true)
    }
  }

  /// The values to be removed, which certainly fit into a reply.
  private static func view(
    ofOutermost count: Int, _ end: Store.ListEnd, at place: KeyPlace, _ keyspace: Keyspace
  ) throws(CallError) -> Store.ListView? {
    let length = try lists { () throws(Store.StoreError) in
      try keyspace.store.listLength(at: place)
    }
    guard let length else { return nil }
    let count = min(count, length)
    guard count <= keyspace.limits.maxMessageBytes / ListReplySize.element(0) else {
      throw .responseTooLarge(streamingCall: nil)
    }
    let view = try lists { () throws(Store.StoreError) in
      try keyspace.store.outermost(count, end, at: place)
    }
    try view?.refuseTooLarge(keyspace.limits)
    return view
  }
}

extension V1.PopRequest: WordedMessage {
  init(_ words: CommandWords, database: UInt32) {
    self.init(key: words[1], database: database)
  }
}

extension V1.PopManyRequest: WordedMessage {
  init(_ words: CommandWords, database: UInt32) throws(ArgumentError) {
    self.init(key: words[1], database: database, count: try words.count(2, "the count"))
  }
}

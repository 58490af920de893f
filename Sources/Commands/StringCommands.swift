// The commands on strings.

import RingstoreAPI
import Store

extension Command {
  static let onStrings: [Command] = [
    .set, .get, .getDel, .getEx, .incrBy, .append, .strLen, .getRange, .setRange, .mSetIfAbsent,
  ]

  package static let get = onKey(
    V1.KeyStore.get, "GET key", shows: .value, "Reads the value of a key."
  ) { (_: V1.Key, place, keyspace, context, reply: inout V1.Value) throws(CallError) in
    guard
      let found = try strings({ () throws(Store.StoreError) in try keyspace.store.string(at: place)
      }
      )
    else { return .done }
    reply.take(found, leftAt: place, context)
    if found.bytes.count < ReplySizes.certainlySmall(keyspace, context) { return .done }
    return try largeValue(reply, at: place, keyspace, context)
  }

  /// Makes a long reply come from a source.
  @inline(never)
  static func largeValue(
    _ reply: V1.Value, at place: KeyPlace, _ keyspace: Keyspace, _ context: ExecutionContext
  ) throws(CallError) -> Outcome {
    let byteCount = reply.byteCount
    guard byteCount <= keyspace.limits.maxMessageBytes else {
      throw .responseTooLarge(streamingCall: nil)
    }
    // A value inside its entry can't be pinned, and is copied.
    guard byteCount > context.bytesMin, let pinned = try? keyspace.store.pinnedString(at: place)
    else { return .done }
    return .source(ValueSource(pinned, ttlMillis: reply.ttlMillis, isPopped: false))
  }

  package static let incrBy = onKey(
    V1.KeyStore.incrBy, "INCRBY key delta [EX seconds|PX millis]", shows: .sum,
    "Adds to the integer that a key holds; a missing key counts as 0.",
    also: [
      step("INCR", 1, "Adds 1 to the integer that a key holds; a missing key counts as 0."),
      step("DECR", -1, "Subtracts 1 from the integer that a key holds; a missing key counts as 0."),
      RequestForm(
        "DECRBY key delta", .sum,
        "Subtracts a number from the integer that a key holds; a missing key counts as 0."
      ) { words, database throws(ArgumentError) in
        let delta = try words.integer(2, "the delta")
        guard delta != .min else { throw .tooSmallToTakeAway(what: "the delta") }
        return V1.IncrByRequest(key: words[1], delta: -delta, database: database)
      },
    ]
  ) {
    (request: V1.IncrByRequest, place, keyspace, context, reply: inout V1.IncrByResponse)
      throws(CallError) in
    var expiry = Expiry.never
    if request.ttlMillis != 0 {
      expiry = try Expiry(storedFor: request.ttlMillis, from: context.call.wallMillis)
    }
    let sum = try strings { () throws(Store.StoreError) in
      try keyspace.store.incrBy(request.delta, making: expiry, at: place)
    }
    reply.value = sum.value
    reply.version = sum.version
    return .done
  }

  package static let append = onKey(
    V1.KeyStore.append, "APPEND key value", shows: .count,
    "Appends bytes to the value of a key; a missing key counts as empty."
  ) {
    (request: V1.AppendRequest, place, keyspace, _, reply: inout V1.Status)
      throws(CallError) in
    let old = try strings { () throws(Store.StoreError) in
      try keyspace.store.string(at: place)
    }
    // A value that no reply can carry could be written and not read.
    let length = (old?.bytes.count ?? 0) + request.value.count
    try checkLength(length, keyspace)
    if let old, request.value.isEmpty {
      reply = V1.Status(ok: true, count: Int64(length), version: old.version)
      return .done
    }
    let version = keyspace.store.write(
      request.value, offset: old?.bytes.count ?? 0, into: old, at: place)
    reply = V1.Status(ok: true, count: Int64(length), version: version)
    return .done
  }

  package static let strLen = onKey(
    V1.KeyStore.strLen, "STRLEN key", shows: .count,
    "Counts the bytes of a string; a missing key has 0."
  ) { (_: V1.Key, place, keyspace, _, reply: inout V1.Status) throws(CallError) in
    let found = try strings { () throws(Store.StoreError) in
      try keyspace.store.string(at: place)
    }
    reply = V1.Status(ok: true, count: Int64(found?.bytes.count ?? 0))
    return .done
  }

  /// - Throws: RESPONSE_TOO_LARGE if a value of this length fits into no reply.
  static func checkLength(_ length: Int, _ keyspace: Keyspace) throws(CallError) {
    let bytesMax = ReplySizes.value(count: length, version: .max, ttlMillis: .max)
    guard bytesMax <= keyspace.limits.maxMessageBytes else { throw .valueTooLarge }
  }

  private static func step(
    _ name: String, _ delta: Int64, _ summary: String
  ) -> RequestForm<V1.IncrByRequest> {
    RequestForm("\(name) key", .sum, summary) { words, database in
      V1.IncrByRequest(key: words[1], delta: delta, database: database)
    }
  }

  /// What the store refuses of a command on strings, in the API's terms.
  @inline(__always)
  static func strings<R>(_ body: () throws(Store.StoreError) -> R) throws(CallError) -> R {
    do throws(Store.StoreError) {
      return try body()
    } catch {
      throw CallError(error, wanted: "a string", holds: "a list")
    }
  }
}

extension V1.AppendRequest: WordedMessage {
  init(_ words: CommandWords, database: UInt32) {
    self.init(key: words[1], value: words[2], database: database)
  }
}

extension CallError {
  static var valueTooLarge: CallError {
    CallError(
      .responseTooLarge, "The value would be too long for a reply; nothing was changed.")
  }
}

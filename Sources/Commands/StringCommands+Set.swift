// Set, with all its options.

import RingstoreAPI
import Store

extension Command {
  private static let usageOfSet =
    "SET key value [EX seconds|PX millis|EXAT unix-seconds|PXAT unix-millis|KEEPTTL] [NX|XX] [GET]"

  package static let set = onKey(
    V1.KeyStore.set, usageOfSet, shows: .ok,
    "Stores a value under a key, and replaces any previous value.",
    also: [
      RequestForm(
        "SETEX key seconds value", .ok, "Stores a value that expires in a number of seconds."
      ) { words, database throws(ArgumentError) in
        V1.KeyValue(
          key: words[1], value: words[3], database: database,
          expiry: .ttlMillis(try words.seconds(2, "the time to live")))
      },
      RequestForm(
        "PSETEX key millis value", .ok, "Stores a value that expires in a number of milliseconds."
      ) { words, database throws(ArgumentError) in
        V1.KeyValue(
          key: words[1], value: words[3], database: database,
          expiry: .ttlMillis(try words.integer(2, "the time to live")))
      },
      RequestForm("SETNX key value", .isDone, "Stores a value if the key doesn't exist.") {
        V1.KeyValue(key: $0[1], value: $0[2], database: $1, condition: .ifAbsent)
      },
      RequestForm("GETSET key value", .ok, "Stores a value and returns the previous one.") {
        V1.KeyValue(key: $0[1], value: $0[2], database: $1, returnPrevious: true)
      },
    ]
  ) {
    (request: V1.KeyValue, place, keyspace, context, reply: inout V1.Status)
      throws(CallError) in
    if request.hasOptions { return try setWithOptions(request, place, keyspace, context, &reply) }
    reply.ok = true
    reply.version = keyspace.store.set(request.value, in: context.block, at: place)
    return .done
  }

  @inline(never)
  private static func setWithOptions(
    _ request: V1.KeyValue, _ place: KeyPlace, _ keyspace: Keyspace, _ context: ExecutionContext,
    _ reply: inout V1.Status
  ) throws(CallError) -> Outcome {
    let expiry = try request.expiry.moment(from: context.call.wallMillis, keeping: place.expiry)
    let isMet = try request.conditionIsMet(at: place)
    if request.returnPrevious {
      return try setReturningPrevious(
        request, expiry, isMet: isMet, place, keyspace, context, &reply)
    }
    guard isMet else {
      reply.version = place.version
      return .done
    }
    reply.ok = true
    reply.version = put(request, expiry, at: place, keyspace, context)
    return .done
  }

  private static func setReturningPrevious(
    _ request: V1.KeyValue, _ expiry: Expiry, isMet: Bool, _ place: KeyPlace,
    _ keyspace: Keyspace, _ context: ExecutionContext, _ reply: inout V1.Status
  ) throws(CallError) -> Outcome {
    let store = keyspace.store
    reply = V1.Status(ok: isMet, version: place.version, previous: V1.Value())
    guard
      let found = try strings({ () throws(Store.StoreError) in try store.string(at: place) })
    else {
      if isMet { reply.version = put(request, expiry, at: place, keyspace, context) }
      return .done
    }
    reply.previous?.take(found, leftAt: place, context)
    // The version of the write is not known before it.
    let bytesMax = reply.byteCount + WireSize.varintField(V1.Status.Field.version.number, .max)
    guard bytesMax <= keyspace.limits.maxMessageBytes else {
      throw .responseTooLarge(streamingCall: nil)
    }
    if bytesMax > context.bytesMin, let pinned = try? store.pinnedString(at: place) {
      let ttlMillis = reply.previous?.ttlMillis
      if isMet { reply.version = put(request, expiry, at: place, keyspace, context) }
      reply.previous = nil
      return .source(
        ValueSource(pinned, ttlMillis: ttlMillis, isPopped: isMet, previousOf: reply))
    }
    guard isMet else { return .done }
    // What it points to is about to be overwritten.
    if let held = try? store.replacedString(at: place) { reply.previous?.value = held.bytes }
    reply.version = put(request, expiry, at: place, keyspace, context)
    return .done
  }

  /// - Returns: the version of the write; 0 if there was no value before and none after.
  private static func put(
    _ request: V1.KeyValue, _ expiry: Expiry, at place: KeyPlace, _ keyspace: Keyspace,
    _ context: ExecutionContext
  ) -> UInt64 {
    // Stored and expired at once: the previous value is removed.
    guard !expiry.isDue(at: context.call.wallMillis) else {
      return keyspace.store.delete(at: place) ?? 0
    }
    return keyspace.store.set(request.value, in: context.block, expiry: expiry, at: place)
  }
}

extension V1.KeyValue {
  @inline(__always)
  fileprivate var hasOptions: Bool {
    expiry != nil || condition.rawValue != 0 || ifVersion != 0 || returnPrevious
  }

  /// - Throws: INVALID_CONDITION if a version is given without the condition that uses it.
  fileprivate func conditionIsMet(at place: KeyPlace) throws(CallError) -> Bool {
    if condition == .ifVersion { return place.version == ifVersion }
    guard ifVersion == 0 else { throw .versionWithoutCondition }
    return switch condition {
    case .ifAbsent: place.type == .none
    case .ifPresent: place.type != .none
    default: true
    }
  }
}

extension V1.Value {
  /// Becomes a found value, with the rest of its time to live.
  @inline(__always)
  mutating func take(
    _ found: Store.StringView, leftAt place: KeyPlace, _ context: ExecutionContext
  ) {
    value = found.bytes
    self.found = true
    version = found.version
    if place.expires { ttlMillis = place.expiry.millisLeft(context) }
  }
}

extension CallError {
  fileprivate static var versionWithoutCondition: CallError {
    CallError(
      .invalidCondition,
      "The request has if_version, but its condition is not IF_VERSION; nothing was "
        + "changed.")
  }
}

extension V1.KeyValue.Expiry? {
  /// When the key expires; the time may have passed.
  ///
  /// - Throws: INVALID_EXPIRY.
  fileprivate func moment(
    from nowMillis: Int64, keeping present: Expiry
  ) throws(CallError) -> Expiry {
    switch self {
    case nil, .keepTtl(false): return .never
    case .keepTtl(true): return present
    case .ttlMillis(let millis): return try Expiry(storedFor: millis, from: nowMillis)
    case .expireAtUnixMillis(let millis): return try Expiry(storedUntil: millis)
    }
  }
}

extension V1.KeyValue: WordedMessage {
  init(_ words: CommandWords, database: UInt32) throws(ArgumentError) {
    self.init(key: words[1], value: words[2], database: database)
    if words.options.isEmpty { return }
    switch try words.expiry() {
    case .after(let millis): expiry = .ttlMillis(millis)
    case .at(let millis): expiry = .expireAtUnixMillis(millis)
    case nil: if words.has("KEEPTTL") { expiry = .keepTtl(true) }
    }
    if words.has("NX") { condition = .ifAbsent }
    if words.has("XX") { condition = .ifPresent }
    returnPrevious = words.has("GET")
  }
}

// GetDel and GetEx: the reply has the value, and its key changes.

import RingstoreAPI
import Store

extension Command {
  package static let getDel = onKey(
    V1.KeyStore.getDel, "GETDEL key", shows: .taken,
    "Removes a key that holds a string and returns its value.", needsMemory: false
  ) { (_: V1.Key, place, keyspace, context, reply: inout V1.Value) throws(CallError) in
    try writeValue(at: place, keyspace, context, &reply, isTaken: true) {
      keyspace.store.delete(at: place)
    }
  }

  package static let getEx = onKey(
    V1.KeyStore.getEx,
    "GETEX key [EX seconds|PX millis|EXAT unix-seconds|PXAT unix-millis|PERSIST]", shows: .value,
    "Reads the value of a key, and changes when it expires.", needsMemory: false
  ) {
    (request: V1.GetExRequest, place, keyspace, context, reply: inout V1.Value)
      throws(CallError) in
    let now = context.call.wallMillis
    let expiry = try request.expiry.moment(from: now, insteadOf: place.expiry)
    guard expiry != place.expiry else {
      let found = try strings { () throws(Store.StoreError) in try keyspace.store.string(at: place)
      }
      guard let found else { return .done }
      reply.take(found, leftAt: place, context)
      return try largeValue(reply, at: place, keyspace, context)
    }
    if expiry.isDue(at: now) {
      return try writeValue(at: place, keyspace, context, &reply, isTaken: true) {
        keyspace.store.delete(at: place)
      }
    }
    let ttlMillis = expiry == .never ? nil : expiry.millisLeft(context)
    return try writeValue(
      at: place, keyspace, context, &reply, ttlMillis: ttlMillis, isTaken: false
    ) {
      keyspace.store.setExpiry(expiry, at: place)
    }
  }

  /// Writes the value at a place as it was before a change, with the version of the change.
  ///
  /// - Parameters:
  ///   - ttlMillis: the rest of the time to live after the change.
  ///   - isTaken: whether the change removes the value.
  ///   - change: is made unless there is no string.
  private static func writeValue(
    at place: KeyPlace, _ keyspace: Keyspace, _ context: ExecutionContext, _ reply: inout V1.Value,
    ttlMillis: Int64? = nil, isTaken: Bool, _ change: () -> UInt64?
  ) throws(CallError) -> Outcome {
    let store = keyspace.store
    guard
      let found = try strings({ () throws(Store.StoreError) in try store.string(at: place) })
    else { return .done }
    // The version of the change is not known before it.
    let bytesMax = ReplySizes.value(
      count: found.bytes.count, version: .max, ttlMillis: ttlMillis)
    guard bytesMax <= keyspace.limits.maxMessageBytes else {
      throw .responseTooLarge(streamingCall: nil)
    }
    if bytesMax > context.bytesMin, let pinned = try? store.pinnedString(at: place) {
      let version = change()
      return .source(
        ValueSource(pinned, version: version, ttlMillis: ttlMillis, isPopped: isTaken))
    }
    guard let held = try? store.replacedString(at: place), let version = change() else {
      return .done
    }
    reply = V1.Value(value: held.bytes, found: true, version: version, ttlMillis: ttlMillis)
    return .done
  }
}

extension V1.GetExRequest.Expiry? {
  /// - Throws: INVALID_EXPIRY.
  fileprivate func moment(
    from nowMillis: Int64, insteadOf present: Expiry
  ) throws(CallError) -> Expiry {
    switch self {
    case nil, .persist(false): present
    case .persist(true): .never
    case .ttlMillis(let millis): try Expiry(storedFor: millis, from: nowMillis)
    case .expireAtUnixMillis(let millis): try Expiry(storedUntil: millis)
    }
  }
}

extension V1.GetExRequest: WordedMessage {
  init(_ words: CommandWords, database: UInt32) throws(ArgumentError) {
    self.init(key: words[1], database: database)
    switch try words.expiry() {
    case .after(let millis): expiry = .ttlMillis(millis)
    case .at(let millis): expiry = .expireAtUnixMillis(millis)
    case nil: if words.has("PERSIST") { expiry = .persist(true) }
    }
  }
}

// The commands on the expiry of keys, and the expiry fields of requests.
//
// A key expires at a time of its shard's wall clock (CallContext.wallMillis). A time to live counts
// from the time of that clock at which the call is executed.

import RingstoreAPI
import Store

extension Command {
  static let onExpiry: [Command] = [.expire, .persist, .ttl]

  package static let expire = onKey(
    V1.KeyStore.expire, "EXPIRE key seconds [NX|XX|GT|LT]", shows: .count,
    "Makes a key expire in a number of seconds.",
    also: [
      expiring(
        "PEXPIRE key millis [NX|XX|GT|LT]", "Makes a key expire in a number of milliseconds."
      ) { words throws(ArgumentError) in
        .ttlMillis(try words.integer(2, "the time to live"))
      },
      expiring(
        "EXPIREAT key unix-seconds [NX|XX|GT|LT]",
        "Makes a key expire at a time, in seconds since 1970."
      ) { words throws(ArgumentError) in
        .expireAtUnixMillis(try words.seconds(2, "the time"))
      },
      expiring(
        "PEXPIREAT key unix-millis [NX|XX|GT|LT]",
        "Makes a key expire at a time, in milliseconds since 1970."
      ) { words throws(ArgumentError) in
        .expireAtUnixMillis(try words.integer(2, "the time"))
      },
    ], needsMemory: false
  ) {
    (request: V1.ExpireRequest, place, keyspace, context, reply: inout V1.Status)
      throws(CallError) in
    let now = context.call.wallMillis
    let expiry = try request.expiry.moment(from: now)
    guard place.type != .none else {
      reply = V1.Status(ok: true)
      return .done
    }
    guard request.condition.isMet(by: expiry, insteadOf: place.expiry) else {
      reply = V1.Status(version: place.version)
      return .done
    }
    var version: UInt64?
    if expiry.isDue(at: now) {
      version = keyspace.store.delete(at: place)
    } else if expiry != place.expiry {
      version = keyspace.store.setExpiry(expiry, at: place)
    }
    reply = V1.Status(ok: true, count: 1, version: version ?? place.version)
    return .done
  }

  private static func expiring(
    _ usage: String, _ summary: String,
    _ expiry: @escaping @Sendable (CommandWords) throws(ArgumentError) -> V1.ExpireRequest.Expiry
  ) -> RequestForm<V1.ExpireRequest> {
    RequestForm(usage, .count, summary) { words, database throws(ArgumentError) in
      V1.ExpireRequest(words, database, try expiry(words))
    }
  }

  package static let persist = onKey(
    V1.KeyStore.persist, "PERSIST key", shows: .count,
    "Removes the expiry of a key.", needsMemory: false
  ) { (_: V1.Key, place, keyspace, _, reply: inout V1.Status) in
    guard place.expires, let version = keyspace.store.setExpiry(.never, at: place) else {
      reply = V1.Status(ok: true, version: place.version)
      return .done
    }
    reply = V1.Status(ok: true, count: 1, version: version)
    return .done
  }

  package static let ttl = onKey(
    V1.KeyStore.ttl, "TTL key", shows: .ttl(.seconds),
    "Shows in how many seconds a key expires; -1: never, -2: no such key.",
    also: [
      RequestForm(
        "PTTL key", .ttl(.millis), "Shows in how many milliseconds a key expires; as TTL.",
        request: V1.Key.init(_:database:)),
      RequestForm(
        "EXPIRETIME key", .ttl(.unixSeconds),
        "Shows when a key expires, in seconds since 1970; -1: never, -2: no such key.",
        request: V1.Key.init(_:database:)),
      RequestForm(
        "PEXPIRETIME key", .ttl(.unixMillis),
        "Shows when a key expires, in milliseconds since 1970; as EXPIRETIME.",
        request: V1.Key.init(_:database:)),
    ]
  ) { (_: V1.Key, place, keyspace, context, reply: inout V1.TtlResponse) in
    guard place.type != .none else { return .done }
    reply = V1.TtlResponse(found: true, version: place.version)
    if place.expires {
      reply.ttlMillis = place.expiry.millisLeft(context)
      reply.expireAtUnixMillis = place.expiry.unixMillis
    }
    return .done
  }
}

/// The expiry of a value, from words.
enum ExpiryInWords {
  case after(millis: Int64)
  case at(unixMillis: Int64)
}

extension CommandWords {
  /// The value of the options EX, PX, EXAT and PXAT; nil if none of them was given.
  func expiry() throws(ArgumentError) -> ExpiryInWords? {
    if options.isEmpty { return nil }
    if let place = place(behind: "EX") {
      return .after(millis: try seconds(place, "the time to live"))
    }
    if let place = place(behind: "PX") {
      return .after(millis: try integer(place, "the time to live"))
    }
    if let place = place(behind: "EXAT") { return .at(unixMillis: try seconds(place, "the time")) }
    if let place = place(behind: "PXAT") { return .at(unixMillis: try integer(place, "the time")) }
    return nil
  }
}

extension V1.ExpireRequest: WordedMessage {
  init(_ words: CommandWords, database: UInt32) throws(ArgumentError) {
    self.init(words, database, .ttlMillis(try words.seconds(2, "the time to live")))
  }

  fileprivate init(_ words: CommandWords, _ database: UInt32, _ expiry: Expiry) {
    self.init(key: words[1], database: database, expiry: expiry)
    if words.has("NX") { condition = .ifNone }
    if words.has("XX") { condition = .ifAny }
    if words.has("GT") { condition = .ifLater }
    if words.has("LT") { condition = .ifSooner }
  }
}

extension V1.ExpireCondition {
  fileprivate func isMet(by expiry: Expiry, insteadOf present: Expiry) -> Bool {
    switch self {
    case .ifNone: present == .never
    case .ifAny: present != .never
    case .ifLater: expiry > present
    case .ifSooner: expiry < present
    default: true
    }
  }
}

extension V1.ExpireRequest.Expiry? {
  /// The time that a request names; it may have passed.
  fileprivate func moment(from nowMillis: Int64) throws(CallError) -> Expiry {
    switch self {
    case .ttlMillis(let millis): try Expiry(millis: millis, from: nowMillis)
    case .expireAtUnixMillis(let millis): try Expiry(atUnixMillis: millis)
    case nil: throw .expiryMissing
    }
  }
}

extension Expiry {
  /// - Throws: INVALID_EXPIRY if the time is too late for its type.
  init(millis: Int64, from nowMillis: Int64) throws(CallError) {
    let (moment, overflow) = nowMillis.addingReportingOverflow(millis)
    guard !overflow else { throw .expiryTooLate }
    try self.init(atUnixMillis: moment)
  }

  /// - Throws: INVALID_EXPIRY if the time is the value that means never.
  init(atUnixMillis millis: Int64) throws(CallError) {
    self.init(unixMillis: millis)
    guard self != .never else { throw .expiryTooLate }
  }

  /// Of a value that is stored now.
  ///
  /// - Throws: INVALID_EXPIRY if the time to live is not above 0, or its end is too late for its
  ///   type.
  init(storedFor millis: Int64, from nowMillis: Int64) throws(CallError) {
    guard millis > 0 else { throw .expiryNotAboveZero }
    try self.init(millis: millis, from: nowMillis)
  }

  init(storedUntil unixMillis: Int64) throws(CallError) {
    guard unixMillis > 0 else { throw .expiryNotAboveZero }
    try self.init(atUnixMillis: unixMillis)
  }

  /// The rest of the time to live of a key that expires and was found.
  @inline(__always)
  func millisLeft(_ context: ExecutionContext) -> Int64 {
    unixMillis &- context.call.wallMillis
  }
}

extension CallError {
  fileprivate static var expiryTooLate: CallError {
    CallError(
      .invalidExpiry, "The key would expire 2^63 - 1 milliseconds after 1970 or later.")
  }

  fileprivate static var expiryMissing: CallError {
    CallError(.invalidExpiry, "The request doesn't say when the key should expire.")
  }

  fileprivate static var expiryNotAboveZero: CallError {
    CallError(
      .invalidExpiry,
      "A time to live, or a time at which a key expires, must be above 0; nothing was changed.")
  }
}

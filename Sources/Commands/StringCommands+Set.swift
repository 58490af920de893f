// Set, with all that it may be asked to do beside.

import RingstoreAPI
import Store

extension Command {
  private static let usageOfSet =
    "SET key value [EX seconds|PX millis|EXAT unix-seconds|PXAT unix-millis|KEEPTTL]"

  package static let set = onKey(
    V1.KeyStore.set, usageOfSet, shows: .ok,
    "Stores a value under a key, whatever the key held before."
  ) { (request: V1.KeyValue, place, context) throws(CallError) in
    if request.hasOptions { return try setWithOptions(request, place, context) }
    let version = context.store.set(request.value, in: context.block, at: place)
    return .reply(V1.Status(ok: true, version: version))
  }

  @inline(never)
  private static func setWithOptions(
    _ request: V1.KeyValue, _ place: KeyPlace, _ context: ExecutionContext
  ) throws(CallError) -> Outcome<V1.Status> {
    let now = context.call.wallMillis
    let expiry = try request.expiry.moment(from: now, keeping: place.expiry)
    guard !expiry.isDue(at: now) else {
      // Stored and expired in one: what was there goes.
      return .reply(V1.Status(ok: true, version: context.store.delete(at: place) ?? 0))
    }
    let version = context.store.set(
      request.value, in: context.block, expiry: expiry, at: place)
    return .reply(V1.Status(ok: true, version: version))
  }
}

extension V1.KeyValue {
  @inline(__always)
  fileprivate var hasOptions: Bool { expiry != nil }
}

extension V1.KeyValue.Expiry? {
  /// When the key is to expire; perhaps at a moment that has passed.
  ///
  /// - Throws: INVALID_EXPIRY.
  fileprivate func moment(
    from nowMillis: Int64, keeping present: Expiry
  ) throws(CallError) -> Expiry {
    switch self {
    case nil, .keepTtl(false): return .never
    case .keepTtl(true): return present
    case .ttlMillis(let millis):
      guard millis > 0 else { throw .expiryNotAboveZero }
      return try Expiry(millis: millis, from: nowMillis)
    case .expireAtUnixMillis(let millis):
      guard millis > 0 else { throw .expiryNotAboveZero }
      return try Expiry(atUnixMillis: millis)
    }
  }
}

extension V1.KeyValue: WordedMessage {
  init(_ words: CommandWords, database: UInt32) throws(ArgumentError) {
    self.init(key: words[1], value: words[2], database: database)
    if words.options.isEmpty { return }
    if let place = words.place(behind: "EX") {
      expiry = .ttlMillis(try words.seconds(place, "the time to live"))
    } else if let place = words.place(behind: "PX") {
      expiry = .ttlMillis(try words.integer(place, "the time to live"))
    } else if let place = words.place(behind: "EXAT") {
      expiry = .expireAtUnixMillis(try words.seconds(place, "the time"))
    } else if let place = words.place(behind: "PXAT") {
      expiry = .expireAtUnixMillis(try words.integer(place, "the time"))
    } else if words.has("KEEPTTL") {
      expiry = .keepTtl(true)
    }
  }
}

// When keys expire. It is the wall clock of the key's shard that counts.

internal import RingstoreAPI

/// When a stored key expires.
public enum RingstoreExpiry: Sendable, Hashable {
  case never
  /// So long after the call is executed; above 0. Counted in milliseconds, rounded up.
  case after(Duration)
  /// At a time of the shard's wall clock, in milliseconds since 1970. A key whose time has passed
  /// is removed at once.
  case at(unixMillis: Int64)
  /// When the value before it would have.
  case unchanged
}

/// The condition of a change of expiry.
public enum RingstoreExpireCondition: Sendable, Hashable {
  case always
  /// The key doesn't expire yet.
  case ifNone
  /// The key expires.
  case ifAny
  /// The key expires, and would sooner.
  case ifLater
  /// The key doesn't expire, or would later.
  case ifSooner
}

extension RingstoreClient {
  /// Makes a key expire after a time, rounded up to milliseconds. A time that is not above 0
  /// removes the key. Returns whether the key was there and the condition met.
  @discardableResult
  public func expire(
    _ key: some RingstoreBytes, after time: Duration,
    if condition: RingstoreExpireCondition = .always, options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> Bool {
    try await run(.expire(key, after: time, if: condition), options: options).status().count > 0
  }

  /// Makes a key expire at a time of the shard's wall clock, in milliseconds since 1970. A time
  /// that has passed removes the key. Returns whether the key was there and the condition met.
  @discardableResult
  public func expire(
    _ key: some RingstoreBytes, atUnixMillis time: Int64,
    if condition: RingstoreExpireCondition = .always, options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> Bool {
    try await run(.expire(key, atUnixMillis: time, if: condition), options: options)
      .status().count > 0
  }

  /// Removes the expiry of a key. Returns whether it would have.
  @discardableResult
  public func persist(
    _ key: some RingstoreBytes, options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> Bool {
    try await run(.persist(key), options: options).status().count > 0
  }

  /// When a key expires; nil if it doesn't exist.
  public func ttl(
    of key: some RingstoreBytes, options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> RingstoreTimeToLive? {
    guard case .timeToLive(let time) = try await run(.ttl(key), options: options) else {
      throw .unexpectedReply
    }
    return time
  }
}

extension RingstoreCommand {
  /// Makes a key expire after a time. Reply: `.status`, whose count is 1 if the expiry was changed.
  public static func expire(
    _ key: some RingstoreBytes, after time: Duration,
    if condition: RingstoreExpireCondition = .always
  ) -> Self {
    expire(key, .ttlMillis(time.wholeMillis), condition)
  }

  /// Makes a key expire at a time. Reply: `.status`, whose count is 1 if the expiry was changed.
  public static func expire(
    _ key: some RingstoreBytes, atUnixMillis time: Int64,
    if condition: RingstoreExpireCondition = .always
  ) -> Self {
    expire(key, .expireAtUnixMillis(time), condition)
  }

  private static func expire(
    _ key: some RingstoreBytes, _ expiry: V1.ExpireRequest.Expiry,
    _ condition: RingstoreExpireCondition
  ) -> Self {
    Self(V1.KeyStore.expire) { request in
      key.ringstoreBytes.withUnsafeBytes {
        V1.ExpireRequest(key: $0, expiry: expiry, condition: condition.ofWire)
          .write(into: &request)
      }
    }
  }

  /// Removes the expiry of a key. Reply: `.status`, whose count is 1 if the key had an expiry.
  public static func persist(_ key: some RingstoreBytes) -> Self {
    Self(V1.KeyStore.persist, key)
  }

  /// Asks when a key expires. Reply: `.timeToLive`.
  public static func ttl(_ key: some RingstoreBytes) -> Self { Self(V1.KeyStore.ttl, key) }
}

extension RingstoreExpiry {
  var ofSet: V1.KeyValue.Expiry? {
    switch self {
    case .never: nil
    case .after(let time): .ttlMillis(time.wholeMillis)
    case .at(let millis): .expireAtUnixMillis(millis)
    case .unchanged: .keepTtl(true)
    }
  }
}

extension RingstoreExpireCondition {
  fileprivate var ofWire: V1.ExpireCondition {
    switch self {
    case .always: .always
    case .ifNone: .ifNone
    case .ifAny: .ifAny
    case .ifLater: .ifLater
    case .ifSooner: .ifSooner
    }
  }
}

extension Duration {
  private static let attosecondsPerMilli: Int64 = 1_000_000_000_000_000

  /// Rounded up; a number that doesn't fit is set to the maximum.
  var wholeMillis: Int64 {
    let (seconds, attoseconds) = components
    let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1_000)
    guard !overflow else { return seconds < 0 ? .min : .max }
    let (millis, rest) = attoseconds.quotientAndRemainder(dividingBy: Self.attosecondsPerMilli)
    let (sum, isBeyond) = whole.addingReportingOverflow(millis + (rest > 0 ? 1 : 0))
    return isBeyond ? (seconds < 0 ? .min : .max) : sum
  }
}

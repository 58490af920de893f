// Calls on one key of any type, and on strings. The doc comments of `RingstoreCommand` say the
// same about the pipeline's form.

internal import RingstoreAPI

/// The condition of a write.
public enum RingstoreCondition: Sendable, Hashable {
  case always
  /// The key isn't there.
  case absent
  /// The key exists, with a value of any type.
  case present
  /// The key's last write had this version; 0: the key isn't there.
  case version(UInt64)
}

extension RingstoreClient {
  /// Reads a value; nil if the key doesn't exist.
  ///
  /// - Throws: WRONG_TYPE if the key holds a list.
  public func get(
    _ key: some RingstoreBytes, options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> [UInt8]? {
    try await run(.get(key), options: options).value()
  }

  /// Reads a value as text; nil if the key doesn't exist.
  ///
  /// - Throws: as `get`; NOT_UTF8 if the value is not UTF-8: no byte is replaced.
  public func getString(
    _ key: some RingstoreBytes, options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> String? {
    guard let value = try await get(key, options: options) else { return nil }
    guard let text = String(validating: value, as: UTF8.self) else { throw .notUTF8("The value") }
    return text
  }

  /// Reads a value with its version and the rest of its time to live; nil if the key doesn't
  /// exist.
  ///
  /// - Throws: WRONG_TYPE if the key holds a list.
  public func read(
    _ key: some RingstoreBytes, options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> RingstoreValue? {
    try await run(.get(key), options: options).versionedValue()
  }

  /// Stores a value under a key, and replaces any previous value. Returns the new version.
  ///
  /// - Parameter expiry: when the key expires.
  /// - Throws: INVALID_EXPIRY if the time to live is not above 0.
  @discardableResult
  public func set(
    _ key: some RingstoreBytes, to value: some RingstoreBytes,
    expiring expiry: RingstoreExpiry = .never, options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> UInt64 {
    try await run(.set(key, to: value, expiring: expiry), options: options).status().version
  }

  /// Stores a value if a condition is met. Returns the new version; nil if it is not met, and
  /// nothing was changed.
  ///
  /// - Throws: as the other `set`.
  public func set(
    _ key: some RingstoreBytes, to value: some RingstoreBytes, if condition: RingstoreCondition,
    expiring expiry: RingstoreExpiry = .never, options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> UInt64? {
    let command = RingstoreCommand.set(key, to: value, if: condition, expiring: expiry)
    let status = try await run(command, options: options).status()
    return status.ok ? status.version : nil
  }

  /// Stores a value under a key, and returns the one before; nil if there was none.
  ///
  /// - Throws: WRONG_TYPE if the key holds a list, RESPONSE_TOO_LARGE if the previous value fits
  ///   into no reply; then nothing was changed.
  public func getSet(
    _ key: some RingstoreBytes, to value: some RingstoreBytes,
    expiring expiry: RingstoreExpiry = .never, options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> RingstoreValue? {
    let command = RingstoreCommand.set(key, to: value, expiring: expiry, returningPrevious: true)
    return try await run(command, options: options).status().previous
  }

  /// Removes a key of any type if it has this version. Returns whether it had.
  @discardableResult
  public func delete(
    _ key: some RingstoreBytes, ifVersion version: UInt64,
    options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> Bool {
    try await run(.delete(key, ifVersion: version), options: options).status().count > 0
  }

  /// Removes a key if it holds this string. Returns whether it did.
  ///
  /// - Throws: WRONG_TYPE if the key holds a list.
  @discardableResult
  public func delete(
    _ key: some RingstoreBytes, ifValue value: some RingstoreBytes,
    options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> Bool {
    try await run(.delete(key, ifValue: value), options: options).status().count > 0
  }

  /// Removes a key of any type. Returns whether it existed.
  @discardableResult
  public func delete(
    _ key: some RingstoreBytes, options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> Bool {
    try await run(.delete(key), options: options).status().count > 0
  }

  /// Whether the key exists.
  public func exists(
    _ key: some RingstoreBytes, options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> Bool {
    try await run(.exists(key), options: options).status().count > 0
  }

  /// The type of the key's value.
  public func type(
    of key: some RingstoreBytes, options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> RingstoreType {
    guard case .type(let type) = try await run(.type(key), options: options) else {
      throw .unexpectedReply
    }
    return type
  }

  /// Adds to the integer that a key holds as decimal text; a missing key counts as 0. Returns the
  /// sum.
  ///
  /// - Parameter time: after which a key that the call creates expires. An existing key keeps its
  ///   expiry.
  /// - Throws: NOT_AN_INTEGER, INTEGER_OVERFLOW, WRONG_TYPE, INVALID_EXPIRY; the value is unchanged
  ///   then.
  @discardableResult
  public func incrBy(
    _ key: some RingstoreBytes, _ delta: Int64 = 1, expiringNewAfter time: Duration? = nil,
    options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> Int64 {
    let command = RingstoreCommand.incrBy(key, delta, expiringNewAfter: time)
    guard case .integer(let sum) = try await run(command, options: options) else {
      throw .unexpectedReply
    }
    return sum
  }
}

extension RingstoreClient {
  /// Appends bytes to the value of a key; a missing key counts as empty. Returns the new length.
  ///
  /// - Throws: WRONG_TYPE if the key holds a list, RESPONSE_TOO_LARGE if the new value would fit
  ///   into no reply; then it is unchanged.
  @discardableResult
  public func append(
    _ key: some RingstoreBytes, _ value: some RingstoreBytes,
    options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> Int {
    try await run(.append(key, value), options: options).status().count
  }

  /// How many bytes the value of a key has; 0 if the key doesn't exist.
  ///
  /// - Throws: WRONG_TYPE if the key holds a list.
  public func strLen(
    _ key: some RingstoreBytes, options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> Int {
    try await run(.strLen(key), options: options).status().count
  }
}

extension RingstoreCommand {
  /// Appends bytes to the value of a key. Reply: `.status`, whose count is the new length.
  public static func append(_ key: some RingstoreBytes, _ value: some RingstoreBytes) -> Self {
    Self(V1.KeyStore.append) { request in
      key.ringstoreBytes.withUnsafeBytes { key in
        value.ringstoreBytes.withUnsafeBytes {
          V1.AppendRequest(key: key, value: $0).write(into: &request)
        }
      }
    }
  }

  /// Counts the bytes of a string. Reply: `.status`, whose count is the length.
  public static func strLen(_ key: some RingstoreBytes) -> Self { Self(V1.KeyStore.strLen, key) }
}

extension RingstoreReply {
  func value() throws(RingstoreError) -> [UInt8]? {
    guard case .value(let value) = self else { throw .unexpectedReply }
    return value?.bytes
  }

  func list() throws(RingstoreError) -> RingstoreList {
    guard case .list(let list) = self else { throw .unexpectedReply }
    return list
  }

  func positions() throws(RingstoreError) -> RingstorePositions {
    guard case .positions(let positions) = self else { throw .unexpectedReply }
    return positions
  }

  func status() throws(RingstoreError) -> RingstoreStatus {
    guard case .status(let status) = self else { throw .unexpectedReply }
    return status
  }
}

extension RingstoreError {
  /// Can't happen: the command decides how its reply is read. An error is better than a trap.
  static let unexpectedReply = RingstoreError(
    code: .internal, message: "The reply doesn't have the form of the call's reply.")
}

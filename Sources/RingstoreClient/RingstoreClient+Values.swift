// Calls on one string that read and change it at once, and calls on parts of one.

internal import RingstoreAPI

extension RingstoreClient {
  /// Removes a key that holds a string and returns its value; nil if the key doesn't exist.
  ///
  /// - Throws: WRONG_TYPE if the key holds a list.
  public func getDel(
    _ key: some RingstoreBytes, options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> RingstoreValue? {
    try await run(.getDel(key), options: options).versionedValue()
  }

  /// Reads a value and changes when its key expires; nil if the key doesn't exist.
  ///
  /// - Throws: WRONG_TYPE if the key holds a list, INVALID_EXPIRY.
  public func getEx(
    _ key: some RingstoreBytes, expiring expiry: RingstoreExpiry,
    options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> RingstoreValue? {
    try await run(.getEx(key, expiring: expiry), options: options).versionedValue()
  }

  /// Reads a part of a value; both ends count, negative ones from the end. nil if the key
  /// doesn't exist.
  ///
  /// - Throws: WRONG_TYPE if the key holds a list.
  public func getRange(
    _ key: some RingstoreBytes, _ start: Int64, _ stop: Int64,
    options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> [UInt8]? {
    try await run(.getRange(key, start, stop), options: options).value()
  }

  /// Writes bytes into a value at an offset; zeros fill the gap between its end and them. Returns
  /// the new length.
  ///
  /// - Throws: WRONG_TYPE if the key holds a list, RESPONSE_TOO_LARGE if the new value would fit
  ///   into no reply; then it is unchanged.
  @discardableResult
  public func setRange(
    _ key: some RingstoreBytes, at offset: UInt64, _ value: some RingstoreBytes,
    options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> Int {
    try await run(.setRange(key, at: offset, value), options: options).status().count
  }
}

extension RingstoreCommand {
  /// Removes a key that holds a string. Reply: `.value`, the removed value.
  public static func getDel(_ key: some RingstoreBytes) -> Self { Self(V1.KeyStore.getDel, key) }

  /// Reads a value and changes when its key expires. Reply: `.value`.
  public static func getEx(
    _ key: some RingstoreBytes, expiring expiry: RingstoreExpiry
  ) -> Self {
    Self(V1.KeyStore.getEx) { request in
      key.ringstoreBytes.withUnsafeBytes {
        V1.GetExRequest(key: $0, expiry: expiry.ofGetEx).write(into: &request)
      }
    }
  }

  /// Reads a part of a value. Reply: `.value`.
  public static func getRange(_ key: some RingstoreBytes, _ start: Int64, _ stop: Int64) -> Self {
    Self(V1.KeyStore.getRange) { request in
      key.ringstoreBytes.withUnsafeBytes {
        V1.GetRangeRequest(key: $0, start: start, stop: stop).write(into: &request)
      }
    }
  }

  /// Writes bytes into a value at an offset. Reply: `.status`, whose count is the new length.
  public static func setRange(
    _ key: some RingstoreBytes, at offset: UInt64, _ value: some RingstoreBytes
  ) -> Self {
    Self(V1.KeyStore.setRange) { request in
      key.ringstoreBytes.withUnsafeBytes { key in
        value.ringstoreBytes.withUnsafeBytes {
          V1.SetRangeRequest(key: key, offset: offset, value: $0).write(into: &request)
        }
      }
    }
  }
}

extension RingstoreExpiry {
  fileprivate var ofGetEx: V1.GetExRequest.Expiry? {
    switch self {
    case .never: .persist(true)
    case .after(let time): .ttlMillis(time.wholeMillis)
    case .at(let millis): .expireAtUnixMillis(millis)
    case .unchanged: nil
    }
  }
}

extension RingstoreReply {
  func versionedValue() throws(RingstoreError) -> RingstoreValue? {
    guard case .value(let value) = self else { throw .unexpectedReply }
    return value
  }
}

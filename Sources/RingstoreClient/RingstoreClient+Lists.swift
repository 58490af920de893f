// Calls on one list. A list without values doesn't exist: pushing makes it, the last pop removes it.

extension RingstoreClient {
  /// Puts values in front of a list, one after another, so the last one comes first in the list.
  /// Returns the list's new length.
  ///
  /// - Throws: WRONG_TYPE where the key holds a string.
  @discardableResult
  public func lPush(
    _ key: some RingstoreBytes, _ values: [some RingstoreBytes],
    options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> Int {
    try await run(.lPush(key, values), options: options).status().count
  }

  /// Puts values at the end of a list in the order given. Returns the list's new length.
  @discardableResult
  public func rPush(
    _ key: some RingstoreBytes, _ values: [some RingstoreBytes],
    options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> Int {
    try await run(.rPush(key, values), options: options).status().count
  }

  /// Takes the first value away and returns it; nil where there is no list.
  public func lPop(
    _ key: some RingstoreBytes, options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> [UInt8]? {
    try await run(.lPop(key), options: options).value()
  }

  /// Takes the last value away and returns it; nil where there is no list.
  public func rPop(
    _ key: some RingstoreBytes, options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> [UInt8]? {
    try await run(.rPop(key), options: options).value()
  }

  /// Reads a range of one state of the list. Indices are zero-based, both ends count, negative ones
  /// count from the end, and what lies outside is cut off.
  ///
  /// - Throws: RESPONSE_TOO_LARGE where the range doesn't fit into one reply: read smaller ranges.
  public func lRange(
    _ key: some RingstoreBytes, _ start: Int64 = 0, _ stop: Int64 = -1,
    options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> RingstoreList {
    guard case .list(let list) = try await run(.lRange(key, start, stop), options: options) else {
      throw .unexpectedReply
    }
    return list
  }

  /// Counts the values of a list; 0 where there is none.
  public func lLen(
    _ key: some RingstoreBytes, options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> Int {
    try await run(.lLen(key), options: options).status().count
  }
}

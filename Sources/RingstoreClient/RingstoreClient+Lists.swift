// Calls on one list. A list without values doesn't exist: pushing makes it, the last pop removes
// it.

extension RingstoreClient {
  /// Puts values in front of a list, one after another, so the last one comes first in the list.
  /// Returns the list's new length.
  ///
  /// - Parameter onlyIfPresent: a list that isn't there is not made; the length is then 0.
  /// - Throws: WRONG_TYPE if the key holds a string.
  @discardableResult
  public func lPush(
    _ key: some RingstoreBytes, _ values: [some RingstoreBytes], onlyIfPresent: Bool = false,
    options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> Int {
    try await run(
      .lPush(key, values, onlyIfPresent: onlyIfPresent), options: options
    ).status().count
  }

  /// Puts values at the end of a list in the order given. Returns the list's new length.
  ///
  /// - Parameter onlyIfPresent: a list that isn't there is not made; the length is then 0.
  @discardableResult
  public func rPush(
    _ key: some RingstoreBytes, _ values: [some RingstoreBytes], onlyIfPresent: Bool = false,
    options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> Int {
    try await run(
      .rPush(key, values, onlyIfPresent: onlyIfPresent), options: options
    ).status().count
  }

  /// Removes the first value and returns it; nil if there is no list.
  public func lPop(
    _ key: some RingstoreBytes, options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> [UInt8]? {
    try await run(.lPop(key), options: options).value()
  }

  /// Removes the last value and returns it; nil if there is no list.
  public func rPop(
    _ key: some RingstoreBytes, options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> [UInt8]? {
    try await run(.rPop(key), options: options).value()
  }

  /// Removes up to `count` values from the head and returns them; empty if there is no list.
  ///
  /// - Throws: RESPONSE_TOO_LARGE if they don't fit into one reply; then they are not removed.
  public func lPop(
    _ key: some RingstoreBytes, count: Int, options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> [[UInt8]] {
    try await run(.lPop(key, count: count), options: options).list().values
  }

  /// Removes up to `count` values from the tail and returns them, the last one first; empty if
  /// there is no list.
  ///
  /// - Throws: RESPONSE_TOO_LARGE if they don't fit into one reply; then they are not removed.
  public func rPop(
    _ key: some RingstoreBytes, count: Int, options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> [[UInt8]] {
    try await run(.rPop(key, count: count), options: options).list().values
  }

  /// Reads a range of one state of the list. Indices are zero-based, both ends count, negative ones
  /// count from the end, and indexes outside the list are cut off.
  ///
  /// - Throws: RESPONSE_TOO_LARGE if the range doesn't fit into one reply: read smaller ranges.
  public func lRange(
    _ key: some RingstoreBytes, _ start: Int64 = 0, _ stop: Int64 = -1,
    options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> RingstoreList {
    try await run(.lRange(key, start, stop), options: options).list()
  }

  /// Keeps a range of a list and removes the rest; indexes are those of `lRange`. Returns the new
  /// length; an empty list is removed.
  @discardableResult
  public func lTrim(
    _ key: some RingstoreBytes, _ start: Int64, _ stop: Int64,
    options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> Int {
    try await run(.lTrim(key, start, stop), options: options).status().count
  }

  /// Reads one value of a list; a negative index counts from the end. Nil if there is none.
  public func lIndex(
    _ key: some RingstoreBytes, _ index: Int64, options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> [UInt8]? {
    try await run(.lIndex(key, index), options: options).value()
  }

  /// Replaces one value of a list; a negative index counts from the end.
  ///
  /// - Throws: NO_SUCH_KEY, INDEX_OUT_OF_RANGE.
  public func lSet(
    _ key: some RingstoreBytes, _ index: Int64, to value: some RingstoreBytes,
    options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) {
    _ = try await run(.lSet(key, index, to: value), options: options)
  }

  /// Counts the values of a list; 0 if there is none.
  public func lLen(
    _ key: some RingstoreBytes, options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> Int {
    try await run(.lLen(key), options: options).status().count
  }

  /// Removes values that are equal to one: `count` from the head, or from the tail if it is
  /// negative, or all (0). Returns how many were removed.
  @discardableResult
  public func lRem(
    _ key: some RingstoreBytes, _ value: some RingstoreBytes, count: Int64 = 0,
    options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> Int {
    try await run(.lRem(key, value, count: count), options: options).status().count
  }

  /// Puts a value in front of the first one that is equal to `pivot`, or after it. Returns the
  /// list's new length; nil if it has no pivot, and nothing has changed.
  @discardableResult
  public func lInsert(
    _ key: some RingstoreBytes, _ value: some RingstoreBytes, _ side: RingstoreListSide,
    _ pivot: some RingstoreBytes, options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> Int? {
    let status = try await run(.lInsert(key, value, side, pivot), options: options).status()
    return status.ok ? status.count : nil
  }

  /// Finds the first value that is equal to one; nil if there is none.
  public func lPos(
    _ key: some RingstoreBytes, _ value: some RingstoreBytes, rank: Int64 = 1,
    options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> Int? {
    try await run(.lPos(key, value, rank: rank), options: options).positions().indices.first
  }

  /// Finds the positions of values that are equal to one.
  ///
  /// - Parameters:
  ///   - rank: with which of them it begins: 1 is the first, -1 the first from the tail.
  ///   - count: the maximum number of positions; 0: all.
  ///   - maxLength: how many values of the list are looked at; 0: all.
  public func lPos(
    _ key: some RingstoreBytes, all value: some RingstoreBytes, rank: Int64 = 1, count: Int64 = 0,
    maxLength: Int64 = 0, options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> [Int] {
    try await run(
      .lPos(key, value, rank: rank, count: count, maxLength: maxLength), options: options
    ).positions().indices
  }

  /// Removes a value from one end of a list, puts it at an end of another list in the same slot, or
  /// of the same list, and returns it; nil if there is no source, also not after waiting.
  ///
  /// A worker that moves its jobs loses none: those that it has not finished are in the other list.
  ///
  /// - Parameter waiting: how long it waits for a value if there is none, up to a day, beside the
  ///   timeout.
  /// - Throws: CROSS_SLOT if the keys are in different slots: give them one hash tag, as in
  ///   `{jobs}:new` and `{jobs}:done`.
  @discardableResult
  public func lMove(
    _ source: some RingstoreBytes, _ from: RingstoreListEnd,
    to destination: some RingstoreBytes, _ to: RingstoreListEnd, waiting: Duration = .zero,
    options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> [UInt8]? {
    try await run(
      .lMove(source, from, to: destination, to, waiting: waiting), options: options
    ).value()
  }
}

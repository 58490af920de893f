// Calls that concern every shard. A shard that can't be reached fails them, naming it; only
// `reachableKeys` does without, and says which shards are missing.

internal import NIOCore
internal import RingstoreAPI

/// The keys of those shards that could be reached.
public struct RingstorePartialKeys: Sendable {
  /// In no particular order.
  public let keys: [[UInt8]]
  /// One for each shard that is missing, naming it and why; empty: the keys are complete.
  public let unreachable: [RingstoreError]
}

/// How much of the store a call concerns.
public enum RingstoreScope: Sendable {
  /// The database of the call.
  case database
  case allDatabases
}

extension RingstoreClient {
  /// Every key that matches, in no particular order. A key that exists during the whole call is
  /// among them; one written or deleted meanwhile may be or not.
  ///
  /// - Throws: RESPONSE_TOO_LARGE where they don't fit into one reply: ask with narrower patterns.
  ///   BAD_PATTERN.
  public func keys(
    matching pattern: RingstorePattern = .all, options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> [[UInt8]] {
    try await keys(pattern, allowPartial: false, options).keys
  }

  /// As `keys`, and shards that can't be reached are listed instead of failing the call.
  public func reachableKeys(
    matching pattern: RingstorePattern = .all, options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> RingstorePartialKeys {
    try await keys(pattern, allowPartial: true, options)
  }

  private func keys(
    _ pattern: RingstorePattern, allowPartial: Bool, _ options: RingstoreCallOptions
  ) async throws(RingstoreError) -> RingstorePartialKeys {
    var request = ByteBuffer()
    pattern.write(into: &request)
    request.writeOptionalVarintField(2, UInt64(database(options)))
    request.writeOptionalBoolField(5, allowPartial)
    return try await call(.keys, request, options) { response throws(WireError) in
      var keys: [[UInt8]] = []
      var unreachable: [RingstoreError] = []
      var reader = WireReader(response)
      while let tag = try reader.nextTag() {
        switch tag {
        case .bytes(1): keys.append(Array(try reader.readBytes()))
        case .bytes(3):
          let error = try CallError(item: try reader.readBytes())
          unreachable.append(RingstoreError(error, command: CommandTable[.keys]))
        default: try reader.skip(tag)
        }
      }
      return RingstorePartialKeys(keys: keys, unreachable: unreachable)
    }
  }

  /// Counts keys.
  public func dbSize(
    _ scope: RingstoreScope = .database, options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> Int {
    try await call(.dbSize, scopeRequest(scope, options), options) { response throws(WireError) in
      Int(try NumberReplyView(response).number)
    }
  }

  /// Removes every key. Returns how many there were.
  ///
  /// Shards empty themselves one by one. If the call fails, some of them may have: that is an error
  /// with `isOutcomeUnknown`, and calling again is safe where nobody writes meanwhile.
  @discardableResult
  public func reset(
    _ scope: RingstoreScope = .database, options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> Int {
    try await call(.reset, scopeRequest(scope, options), options) { response throws(WireError) in
      Int(try NumberReplyView(response).number)
    }
  }

  private func scopeRequest(
    _ scope: RingstoreScope, _ options: RingstoreCallOptions
  ) -> ByteBuffer {
    var request = ByteBuffer()
    request.writeOptionalVarintField(1, UInt64(database(options)))
    request.writeOptionalBoolField(2, scope == .allDatabases)
    return request
  }
}

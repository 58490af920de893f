// Calls that concern every shard. If a shard can't be reached, they fail with an error that names
// it; only `reachableKeys` continues without, and returns which shards are missing.

internal import NIOCore
internal import RingstoreAPI

/// The keys of those shards that could be reached.
public struct RingstorePartialKeys: Sendable {
  /// In no particular order.
  public let keys: [[UInt8]]
  /// One for each shard that is missing, naming it and why; empty: the keys are complete.
  public let unreachable: [RingstoreError]
}

/// Some of the matching keys, and a token for the rest.
public struct RingstoreKeysPage: Sendable {
  /// In no particular order.
  public let keys: [[UInt8]]
  /// The token for the next call; empty: there are no more keys.
  public let nextPageToken: [UInt8]
  /// One for each shard that is missing, naming it and why. Only of a partial call.
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
  /// - Throws: RESPONSE_TOO_LARGE if they don't fit into one reply: use a limit, or `scan`.
  ///   BAD_PATTERN.
  public func keys(
    matching pattern: RingstorePattern = .all, options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> [[UInt8]] {
    try await keys(pattern, options: options).keys
  }

  /// As `keys`, and shards that can't be reached are listed instead of failing the call.
  public func reachableKeys(
    matching pattern: RingstorePattern = .all, options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> RingstorePartialKeys {
    let page = try await keys(pattern, allowPartial: true, options: options)
    return RingstorePartialKeys(keys: page.keys, unreachable: page.unreachable)
  }

  /// Up to `limit` of the matching keys, and a token for the rest.
  ///
  /// - Parameters:
  ///   - limit: how many keys; the page has fewer only if it is the last, or if they don't fit into
  ///     one reply. 0: all.
  ///   - pageToken: the last page's `nextPageToken`, with the same pattern and database. Works
  ///     through any router and after any restart.
  ///   - allowPartial: continue without shards that can't be reached; the page then lists them.
  /// - Throws: BAD_PAGE_TOKEN, BAD_PATTERN.
  public func keys(
    matching pattern: RingstorePattern = .all, limit: Int, pageToken: [UInt8] = [],
    allowPartial: Bool = false, options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> RingstoreKeysPage {
    try await keys(
      pattern, limit: limit, pageToken: pageToken, allowPartial: allowPartial, options: options)
  }

  private func keys(
    _ pattern: RingstorePattern, limit: Int = 0, pageToken: [UInt8] = [],
    allowPartial: Bool = false, options: RingstoreCallOptions
  ) async throws(RingstoreError) -> RingstoreKeysPage {
    let request = ByteBuffer.of { request in
      pattern.withMessage { pattern in
        pageToken.withUnsafeBytes { pageToken in
          V1.KeysRequest(
            pattern: pattern, database: database(options), limit: UInt32(clamping: limit),
            pageToken: pageToken, allowPartial: allowPartial
          ).write(into: &request)
        }
      }
    }
    return try await call(V1.KeyStore.keys, request, options) { response throws(WireError) in
      let reply = try V1.KeysResponse(response)
      return RingstoreKeysPage(
        keys: reply.keys.map { Array($0) }, nextPageToken: Array(reply.nextPageToken),
        unreachable: reply.unreachable.map {
          RingstoreError(CallError($0), of: V1.KeyStore.keys)
        })
    }
  }

  /// Counts keys.
  public func dbSize(
    _ scope: RingstoreScope = .database, options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> Int {
    let request = ByteBuffer.of {
      V1.DbSizeRequest(database: database(options), allDatabases: scope == .allDatabases)
        .write(into: &$0)
    }
    return try await call(V1.KeyStore.dbSize, request, options) { response throws(WireError) in
      Int(try V1.DbSizeResponse(response).keys)
    }
  }

  /// A random key of the database, each with the same probability; nil if it is empty.
  public func randomKey(
    options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> [UInt8]? {
    let request = ByteBuffer.of {
      V1.RandomKeyRequest(database: database(options)).write(into: &$0)
    }
    return try await call(V1.KeyStore.randomKey, request, options) { response throws(WireError) in
      let reply = try V1.RandomKeyResponse(response)
      return reply.found ? Array(reply.key) : nil
    }
  }

  /// Removes every key. Returns how many there were.
  ///
  /// Shards empty themselves one by one. If the call fails, some of them may have: that is an error
  /// with `isOutcomeUnknown`, and calling again is safe while no client writes.
  @discardableResult
  public func reset(
    _ scope: RingstoreScope = .database, options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> Int {
    let request = ByteBuffer.of {
      V1.ResetRequest(database: database(options), allDatabases: scope == .allDatabases)
        .write(into: &$0)
    }
    return try await call(V1.KeyStore.reset, request, options) { response throws(WireError) in
      Int(try V1.ResetResponse(response).keysRemoved)
    }
  }
}

extension ByteBuffer {
  /// A message of its own.
  static func of(_ write: (inout ByteBuffer) -> Void) -> ByteBuffer {
    var buffer = ByteBuffer()
    write(&buffer)
    return buffer
  }
}

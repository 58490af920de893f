// Calls that concern every shard. A shard that can't be reached fails them, naming it; only `keys`
// can be asked to do without, and says then which shards are missing.

internal import NIOCore
internal import RingstoreAPI

/// A page of keys.
public struct RingstoreKeysPage: Sendable {
  /// In no particular order.
  public let keys: [[UInt8]]
  /// Where the next page begins; nil: there is none.
  public let nextPage: [UInt8]?
  /// The shards that were not reached, where partial answers are allowed; else empty.
  public let unreachable: [RingstoreError]
}

/// How much of the store a call concerns.
public enum RingstoreScope: Sendable {
  /// The database of the call.
  case database
  case allDatabases
}

extension RingstoreClient {
  /// Every key that matches, in no particular order.
  ///
  /// - Throws: RESPONSE_TOO_LARGE where they don't fit into one reply: use `keysPage`. BAD_PATTERN.
  public func keys(
    matching pattern: RingstorePattern = .all, options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> [[UInt8]] {
    try await keys(pattern, limit: 0, page: nil, allowPartial: false, options).keys
  }

  /// At most `limit` keys that match, and where to go on. A key that exists during the whole walk
  /// is on one of the pages at least; one written or deleted meanwhile may be or not.
  ///
  /// - Parameters:
  ///   - page: `nextPage` of the page before; nil: the first page.
  ///   - allowPartial: answer without the shards that can't be reached, and list them.
  public func keysPage(
    matching pattern: RingstorePattern = .all, limit: UInt32, after page: [UInt8]? = nil,
    allowPartial: Bool = false, options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> RingstoreKeysPage {
    guard limit > 0 else {
      throw RingstoreError(code: .invalidArgument, message: "A page has room for 1 key or more.")
    }
    return try await keys(
      pattern, limit: limit, page: page, allowPartial: allowPartial, options)
  }

  private func keys(
    _ pattern: RingstorePattern, limit: UInt32, page: [UInt8]?, allowPartial: Bool,
    _ options: RingstoreCallOptions
  ) async throws(RingstoreError) -> RingstoreKeysPage {
    var request = ByteBuffer()
    pattern.write(into: &request)
    request.writeOptionalVarintField(2, UInt64(database(options)))
    request.writeOptionalVarintField(3, UInt64(limit))
    page?.withUnsafeBytes { request.writeOptionalBytesField(4, $0) }
    request.writeOptionalBoolField(5, allowPartial)
    return try await call(.keys, request, options) { response throws(WireError) in
      var keys: [[UInt8]] = []
      var nextPage: [UInt8] = []
      var unreachable: [RingstoreError] = []
      var reader = WireReader(response)
      while let tag = try reader.nextTag() {
        switch tag {
        case .bytes(1): keys.append(Array(try reader.readBytes()))
        case .bytes(2): nextPage = Array(try reader.readBytes())
        case .bytes(3):
          let error = try CallError(item: try reader.readBytes())
          unreachable.append(RingstoreError(error, command: CommandTable[.keys]))
        default: try reader.skip(tag)
        }
      }
      return RingstoreKeysPage(
        keys: keys, nextPage: nextPage.isEmpty ? nil : nextPage, unreachable: unreachable)
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

// Calls on many keys at once. Not atomic as a whole: each item has its own outcome, in the order of
// the request. A thrown error concerns the whole call.

internal import NIOCore
internal import RingstoreAPI

/// A range of one list: indices are zero-based, both ends count, negative ones count from the end.
public struct RingstoreListRange: Sendable, Hashable {
  public let key: [UInt8]
  public let start: Int64
  public let stop: Int64

  public init(_ key: some RingstoreBytes, _ start: Int64 = 0, _ stop: Int64 = -1) {
    self.key = key.ringstoreBytes
    self.start = start
    self.stop = stop
  }
}

extension RingstoreClient {
  /// Reads many values; nil for a key that doesn't exist.
  public func mGet(
    _ keys: [some RingstoreBytes], options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> [Result<[UInt8]?, RingstoreError>] {
    let commands = keys.map { RingstoreCommand.get($0) }
    return try await many(V1.KeyStore.mGet, commands, options) { reply throws(RingstoreError) in
      try reply.value()
    }
  }

  /// Stores many values. Items that name the same key take effect in the order given. Each outcome
  /// is the key's new version.
  @discardableResult
  public func mSet(
    _ items: [(key: some RingstoreBytes, value: some RingstoreBytes)],
    options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> [Result<UInt64, RingstoreError>] {
    let commands = items.map { RingstoreCommand.set($0.key, to: $0.value) }
    return try await many(V1.KeyStore.mSet, commands, options) { reply throws(RingstoreError) in
      try reply.status().version
    }
  }

  /// Removes many keys. Each outcome says whether the key existed.
  @discardableResult
  public func mDelete(
    _ keys: [some RingstoreBytes], options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> [Result<Bool, RingstoreError>] {
    let commands = keys.map { RingstoreCommand.delete($0) }
    return try await many(V1.KeyStore.mDelete, commands, options) { reply throws(RingstoreError) in
      try reply.status().count > 0
    }
  }

  /// Returns for each of many keys whether it exists.
  public func mExists(
    _ keys: [some RingstoreBytes], options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> [Result<Bool, RingstoreError>] {
    let commands = keys.map { RingstoreCommand.exists($0) }
    return try await many(V1.KeyStore.mExists, commands, options) { reply throws(RingstoreError) in
      try reply.status().count > 0
    }
  }

  /// Marks many keys as used now, for idle times and eviction. Each outcome says whether the key
  /// exists.
  @discardableResult
  public func mTouch(
    _ keys: [some RingstoreBytes], options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> [Result<Bool, RingstoreError>] {
    let commands = keys.map { RingstoreCommand.touch($0) }
    return try await many(V1.KeyStore.mTouch, commands, options) { reply throws(RingstoreError) in
      try reply.status().count > 0
    }
  }

  /// Stores values under several keys if none of the keys exists: all of them at once, or none. The
  /// keys must be in one slot, as those with the same hash tag do: `{user7}:name`, `{user7}:mail`.
  ///
  /// - Returns: whether they were stored.
  /// - Throws: CROSS_SLOT if the keys are in several slots.
  public func mSetIfAbsent(
    _ items: [(key: some RingstoreBytes, value: some RingstoreBytes)],
    options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> Bool {
    guard !items.isEmpty else { return true }
    return try await run(.mSetIfAbsent(items), options: options).status().ok
  }

  /// Reads a range of each of many lists. A list may be named more than once; two ranges of one
  /// list may come from different states of it.
  public func multiRange(
    _ ranges: [RingstoreListRange], options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> [Result<RingstoreList, RingstoreError>] {
    let commands = ranges.map { RingstoreCommand.lRange($0.key, $0.start, $0.stop) }
    return try await many(V1.KeyStore.mLRange, commands, options) { reply throws(RingstoreError) in
      guard case .list(let list) = reply else { throw .unexpectedReply }
      return list
    }
  }

  /// An item of these calls is the very request of the call on one key, and an outcome its very
  /// reply.
  private func many<Outcome>(
    _ rpc: RPC, _ commands: [RingstoreCommand], _ options: RingstoreCallOptions,
    _ read: (RingstoreReply) throws(RingstoreError) -> Outcome
  ) async throws(RingstoreError) -> [Result<Outcome, RingstoreError>] {
    guard !commands.isEmpty else { return [] }
    let items =
      switch rpc.request {
      case is V1.MGetRequest.Type: V1.MGetRequest.Field.keys
      case is V1.MSetRequest.Type: V1.MSetRequest.Field.items
      case is V1.MDeleteRequest.Type: V1.MDeleteRequest.Field.keys
      case is V1.ManyKeysRequest.Type: V1.ManyKeysRequest.Field.keys
      default: V1.MLRangeRequest.Field.ranges
      }
    var request = ByteBuffer()
    for command in commands {
      let item = request.beginLengthDelimited(items, sizeHint: command.sizeEstimate)
      command.writeRequest(database: database(options), into: &request)
      request.endLengthDelimited(item)
    }
    let outcomes = try await call(rpc, request, options) { response throws(WireError) in
      try Self.outcomes(of: rpc, response)
    }
    guard outcomes.count == commands.count else { throw .undecodable(rpc) }
    return outcomes.map { outcome in
      outcome.flatMap { reply in
        do throws(RingstoreError) {
          return .success(try read(reply))
        } catch {
          return .failure(error)
        }
      }
    }
  }

  /// The outcome of each item.
  private static func outcomes(
    of rpc: RPC, _ response: UnsafeRawBufferPointer
  ) throws(WireError) -> [Result<RingstoreReply, RingstoreError>] {
    func failure(_ error: V1.Error) -> Result<RingstoreReply, RingstoreError> {
      .failure(RingstoreError(CallError(error), of: rpc))
    }
    func outcome(_ item: V1.StatusItem) -> Result<RingstoreReply, RingstoreError> {
      switch item.outcome {
      case .status(let reply): .success(RingstoreReply(reply))
      case .error(let error): failure(error)
      case nil: .failure(.undecodable(rpc))
      }
    }
    switch rpc.reply {
    case is V1.MGetResponse.Type:
      return try V1.MGetResponse(response).items.map { item in
        switch item.outcome {
        case .value(let reply): .success(RingstoreReply(reply))
        case .error(let error): failure(error)
        case nil: .failure(.undecodable(rpc))
        }
      }
    case is V1.MSetResponse.Type: return try V1.MSetResponse(response).items.map(outcome)
    case is V1.MDeleteResponse.Type: return try V1.MDeleteResponse(response).items.map(outcome)
    case is V1.ManyStatusesResponse.Type:
      return try V1.ManyStatusesResponse(response).items.map(outcome)
    default:
      return try V1.MLRangeResponse(response).items.map { item in
        switch item.outcome {
        case .list(let reply): .success(.list(RingstoreList(reply)))
        case .error(let error): failure(error)
        case nil: .failure(.undecodable(rpc))
        }
      }
    }
  }
}

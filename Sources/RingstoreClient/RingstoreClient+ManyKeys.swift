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
    return try await many(.mGet, commands, options) { reply throws(RingstoreError) in
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
    return try await many(.mSet, commands, options) { reply throws(RingstoreError) in
      try reply.status().version
    }
  }

  /// Removes many keys. Each outcome says whether the key existed.
  @discardableResult
  public func mDelete(
    _ keys: [some RingstoreBytes], options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> [Result<Bool, RingstoreError>] {
    let commands = keys.map { RingstoreCommand.delete($0) }
    return try await many(.mDelete, commands, options) { reply throws(RingstoreError) in
      try reply.status().count > 0
    }
  }

  /// Reads a range of each of many lists. A list may be named more than once; two ranges of one
  /// list may come from different states of it.
  public func multiRange(
    _ ranges: [RingstoreListRange], options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> [Result<RingstoreList, RingstoreError>] {
    let commands = ranges.map { RingstoreCommand.lRange($0.key, $0.start, $0.stop) }
    return try await many(.mLRange, commands, options) { reply throws(RingstoreError) in
      guard case .list(let list) = reply else { throw .unexpectedReply }
      return list
    }
  }

  /// An item of these calls is the very request of the call on one key, and an outcome its very
  /// reply.
  private func many<Outcome>(
    _ id: CommandID, _ commands: [RingstoreCommand], _ options: RingstoreCallOptions,
    _ read: (RingstoreReply) throws(RingstoreError) -> Outcome
  ) async throws(RingstoreError) -> [Result<Outcome, RingstoreError>] {
    guard !commands.isEmpty else { return [] }
    let items =
      switch id {
      case .mGet: V1.MGetRequest.Field.keys
      case .mSet: V1.MSetRequest.Field.items
      case .mDelete: V1.MDeleteRequest.Field.keys
      default: V1.MLRangeRequest.Field.ranges
      }
    var request = ByteBuffer()
    for command in commands {
      let item = request.beginLengthDelimited(items, sizeHint: command.sizeEstimate)
      command.writeRequest(database: database(options), into: &request)
      request.endLengthDelimited(item)
    }
    let command = CommandTable[id]
    let outcomes = try await call(id, request, options) { response throws(WireError) in
      try Self.outcomes(of: command, response)
    }
    guard outcomes.count == commands.count else { throw .undecodable(command) }
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
    of command: Command, _ response: UnsafeRawBufferPointer
  ) throws(WireError) -> [Result<RingstoreReply, RingstoreError>] {
    func failure(_ error: V1.Error) -> Result<RingstoreReply, RingstoreError> {
      .failure(RingstoreError(CallError(error), command: command))
    }
    func outcome(_ item: V1.StatusItem) -> Result<RingstoreReply, RingstoreError> {
      switch item.outcome {
      case .status(let reply): .success(RingstoreReply(reply))
      case .error(let error): failure(error)
      case nil: .failure(.undecodable(command))
      }
    }
    switch command.commandID {
    case .mGet:
      return try V1.MGetResponse(response).items.map { item in
        switch item.outcome {
        case .value(let reply): .success(RingstoreReply(reply))
        case .error(let error): failure(error)
        case nil: .failure(.undecodable(command))
        }
      }
    case .mSet: return try V1.MSetResponse(response).items.map(outcome)
    case .mDelete: return try V1.MDeleteResponse(response).items.map(outcome)
    default:
      return try V1.MLRangeResponse(response).items.map { item in
        switch item.outcome {
        case .list(let reply): .success(.list(RingstoreList(reply)))
        case .error(let error): failure(error)
        case nil: .failure(.undecodable(command))
        }
      }
    }
  }
}

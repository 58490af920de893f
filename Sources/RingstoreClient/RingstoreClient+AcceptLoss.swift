// AcceptLoss: a shard that has other data than before is accepted with its current data.

internal import NIOCore
internal import RingstoreAPI

/// What the shards have on record after a loss was accepted.
public struct RingstoreAcceptedLoss: Sendable, Hashable {
  /// Ids of the other shards that have recorded it, durably if they have a data directory.
  public let recorded: [String]
  /// Ids of the shards that could not be notified. They are notified when they are reachable again.
  public let missing: [String]
}

extension RingstoreClient {
  /// Accepts a shard that is refused with DATA_LOST because it has other data than before, or none.
  /// Its previous data counts as lost: if that data returns, it is refused.
  ///
  /// - Parameter shard: its id.
  /// - Throws: FAILED_PRECONDITION if the shard is not refused because of its data, or can't be
  ///   reached, with a message that says so.
  @discardableResult
  public func acceptLoss(
    ofShard shard: String, options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> RingstoreAcceptedLoss {
    var request = ByteBuffer()
    var shard = shard
    shard.withUTF8 {
      V1.AcceptLossRequest(shard: UnsafeRawBufferPointer($0)).write(into: &request)
    }
    return try await call(V1.Cluster.acceptLoss, request, options) { response throws(WireError) in
      let reply = try V1.AcceptLossResponse(response)
      let text = { (bytes: UnsafeRawBufferPointer) in String(decoding: bytes, as: UTF8.self) }
      return RingstoreAcceptedLoss(
        recorded: reply.recorded.map(text), missing: reply.missing.map(text))
    }
  }
}

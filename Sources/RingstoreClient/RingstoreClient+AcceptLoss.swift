// AcceptLoss: a shard that has other data than before is accepted with its current data.

internal import NIOCore
internal import RingstoreAPI

/// What the shards have on record after a loss was accepted.
public struct RingstoreAcceptedLoss: Sendable, Hashable {
  /// Ids of the other shards that have it on record, durably where they have a disk.
  public let recorded: [String]
  /// Of those that could not be told. They are when they are back.
  public let missing: [String]
}

extension RingstoreClient {
  /// Has the cluster take a shard as it is, that is refused with DATA_LOST because it has other
  /// data than it had, or none. What it had before counts as lost: where that comes back it is
  /// refused.
  ///
  /// - Parameter shard: its id.
  /// - Throws: FAILED_PRECONDITION where the shard is not refused for its data, or can't be asked,
  ///   with a sentence that says so.
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

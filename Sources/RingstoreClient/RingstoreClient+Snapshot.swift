// Snapshot: every shard writes all its keys to its disk again.

internal import NIOCore
internal import RingstoreAPI

/// How far the snapshot of a shard is.
public struct RingstoreShardSnapshot: Sendable, Hashable {
  /// The shard's id.
  public let shard: String
  public let isComplete: Bool
  public let keysDone: Int
  /// The keys that the shard has.
  public let keys: Int
  /// Written so far, about.
  public let bytes: Int
  /// Since it began, which may have been before the call.
  public let elapsed: Duration
}

extension RingstoreClient {
  /// Makes every shard write all its keys to its disk now, as fast as the disk allows. If a
  /// snapshot is in progress, the call waits for it. Everything acknowledged before the call is on
  /// the disk, synced, when this returns.
  ///
  /// - Parameters:
  ///   - options: its timeout is for each piece of news, of which there are several a second.
  ///   - onProgress: gets the progress of the shards that have reported it.
  /// - Returns: all shards.
  /// - Throws: FAILED_PRECONDITION if a shard is in memory only, DISK_FULL, SHARD_UNAVAILABLE. The
  ///   other shards still make their snapshots.
  @discardableResult
  public func snapshot(
    options: RingstoreCallOptions = .standard,
    onProgress: ([RingstoreShardSnapshot]) -> Void = { _ in }
  ) async throws(RingstoreError) -> [RingstoreShardSnapshot] {
    let rpc = V1.Cluster.snapshot
    var replies = replies(to: rpc, options)
    var newest: [RingstoreShardSnapshot] = []
    // The request has no fields, and is not sent again.
    while let message = try await replies.next(request: { nil }) {
      do throws(WireError) {
        newest = try message.withBytes { bytes throws(WireError) in
          try V1.SnapshotProgress(bytes).shards.map { RingstoreShardSnapshot($0) }
        }
      } catch {
        replies.cancel()
        throw .undecodable(rpc)
      }
      onProgress(newest)
    }
    return newest
  }
}

extension RingstoreShardSnapshot {
  init(_ reply: V1.ShardSnapshot) {
    self.init(
      shard: String(decoding: reply.shard, as: UTF8.self), isComplete: reply.complete,
      keysDone: Int(reply.keysDone), keys: Int(reply.keys), bytes: Int(reply.bytes),
      elapsed: .milliseconds(reply.elapsedMillis))
  }
}

// Snapshot: every shard writes all its keys to its disk again.

internal import GRPC
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
  ///   - options: its timeout is the longest time without progress.
  ///   - onProgress: gets the progress of the shards that have reported it.
  /// - Returns: all shards.
  /// - Throws: FAILED_PRECONDITION if a shard is in memory only, DISK_FULL, SHARD_UNAVAILABLE,
  ///   DEADLINE_EXCEEDED. The other shards still make their snapshots.
  @discardableResult
  public func snapshot(
    options: RingstoreCallOptions = .standard,
    onProgress: ([RingstoreShardSnapshot]) -> Void = { _ in }
  ) async throws(RingstoreError) -> [RingstoreShardSnapshot] {
    let rpc = V1.Cluster.snapshot
    var replies = replies(to: rpc, options)
    var newest: [RingstoreShardSnapshot] = []
    var lastProgress = ContinuousClock.now
    // The request has no fields, and is not sent again.
    while let message = try await replies.next(request: { nil }) {
      let last = newest
      do throws(WireError) {
        newest = try message.withBytes { bytes throws(WireError) in
          try V1.SnapshotProgress(bytes).shards.map { RingstoreShardSnapshot($0) }
        }
      } catch {
        replies.cancel()
        throw .undecodable(rpc)
      }
      onProgress(newest)
      // A shard whose disk stands replies all the same.
      if !newest.elementsEqual(last, by: { $0.isAsFar(as: $1) }) {
        lastProgress = .now
      } else if .now - lastProgress > replies.timeout {
        replies.cancel()
        throw RingstoreError(
          RPCStatus(.deadlineExceeded, "The snapshot makes no progress."), of: rpc)
      }
    }
    return newest
  }
}

extension RingstoreShardSnapshot {
  fileprivate func isAsFar(as other: Self) -> Bool {
    (shard, isComplete, keysDone, bytes)
      == (other.shard, other.isComplete, other.keysDone, other.bytes)
  }

  init(_ reply: V1.ShardSnapshot) {
    self.init(
      shard: String(decoding: reply.shard, as: UTF8.self), isComplete: reply.complete,
      keysDone: Int(reply.keysDone), keys: Int(reply.keys), bytes: Int(reply.bytes),
      elapsed: .milliseconds(reply.elapsedMillis))
  }
}

// Keys without a limit, DbSize, Reset, Describe and Stats: every shard is queried, slice by slice,
// and the outcomes are merged.
//
// Each shard works through its share in slices of bounded work: a slice's reply says where the
// next one begins, so a shard keeps no state between slices, and a dropped operation stops by
// sending no further one. The shards work in parallel; each has at most one slice in progress.

import Commands
import NIOCore
import RingstoreAPI

/// What differs between the operations: the slices' requests and how their replies are merged.
package protocol FanoutReducer {
  /// The internal method that executes a slice.
  var part: InternalMethod { get }
  /// The lane for the slices' replies.
  var lane: LinkLane { get }
  /// Whether shards that can't be reached are listed instead of failing the call.
  var allowsPartial: Bool { get }
  /// Whether the reply describes the cluster's state: such a call works even if no slot map is in
  /// force.
  var tellsOfClusterState: Bool { get }
  /// Bytes of the reply so far, if it may become large.
  var heldBytes: Int { get }
  /// Before the first slice.
  mutating func begin(on cluster: any FanoutCluster)
  /// The queried shards, by their places.
  func shards(of cluster: any FanoutCluster) throws(CallError) -> [Int]
  /// The request of a shard's next slice.
  mutating func request(shard: Int) -> ByteBuffer
  /// Merges a slice's reply. Returns whether the shard has more to do.
  mutating func merge(_ response: UnsafeRawBufferPointer, shard: Int) throws(CallError) -> Bool
  /// Notes a shard that the call continues without.
  mutating func missing(_ error: CallError, shard: Int)
  /// The reply, once every shard is done. Asked for once.
  mutating func reply() -> ByteBuffer
}

extension FanoutReducer {
  package var lane: LinkLane { .calls }
  package var heldBytes: Int { 0 }
  package mutating func begin(on cluster: any FanoutCluster) {}
  package func shards(of cluster: any FanoutCluster) throws(CallError) -> [Int] {
    Array(cluster.shardIDs.indices)
  }

  package var tellsOfClusterState: Bool { false }

  /// Whether the call continues without a shard that could not be reached for this reason.
  fileprivate func doesWithout(_ error: CallError) -> Bool {
    if tellsOfClusterState, error.reason == .mapConflict { return true }
    return allowsPartial && error.code == .unavailable
  }
}

package final class Broadcast<Merge: FanoutReducer>: FanoutOperation {
  private var merge: Merge
  private var unfinished = 0

  package init(_ merge: Merge) {
    self.merge = merge
  }

  package var heldBytes: Int { merge.heldBytes }

  package func start(on cluster: any FanoutCluster) -> [FanoutAction] {
    do throws(CallError) {
      let shards = try merge.shards(of: cluster)
      unfinished = shards.count
      merge.begin(on: cluster)
      return shards.isEmpty ? [.end(.response(merge.reply()))] : shards.map { slice($0) }
    } catch {
      return [.end(.failed(error))]
    }
  }

  package func received(_ tag: Int, _ response: UnsafeRawBufferPointer) -> [FanoutAction] {
    do throws(CallError) {
      return try merge.merge(response, shard: tag) ? [slice(tag)] : shardEnded()
    } catch {
      return [.end(.failed(error))]
    }
  }

  package func failed(_ tag: Int, _ error: CallError) -> [FanoutAction] {
    guard merge.doesWithout(error) else { return [.end(.failed(error))] }
    merge.missing(error, shard: tag)
    return shardEnded()
  }

  private func slice(_ shard: Int) -> FanoutAction {
    .send(
      SubRequest(merge.part, shard: shard, lane: merge.lane, request: merge.request(shard: shard)))
  }

  private func shardEnded() -> [FanoutAction] {
    unfinished -= 1
    return unfinished == 0 ? [.end(.response(merge.reply()))] : []
  }
}

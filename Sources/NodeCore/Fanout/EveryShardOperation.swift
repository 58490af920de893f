// Keys without a limit, DbSize, Reset, Describe and Stats: every shard is asked, slice by slice, and
// the outcomes merged.
//
// Each shard works through its share in slices of bounded work: a slice's answer says where the
// next one begins, so a shard keeps no state between slices, and an operation that was dropped has
// stopped as soon as it sends no further one. The shards work side by side; each has at most one
// slice under way.

import NIOCore
import RingstoreAPI

/// What differs between the operations: the slices' requests and how their answers are merged.
package protocol ShardMerge {
  /// The number of the internal method that executes a slice.
  var method: UInt32 { get }
  /// The lane for the slices' answers.
  var lane: LinkLane { get }
  /// Whether shards that can't be reached are listed instead of failing the call.
  var allowsPartial: Bool { get }
  /// Whether the call goes on without a shard that could not be asked for this reason.
  func doesWithout(_ error: CallError) -> Bool
  /// Bytes of the answer so far, where it may grow large.
  var heldBytes: Int { get }
  /// Before the first slice.
  mutating func begin(on port: any PartPort)
  /// The request of a shard's next slice.
  mutating func request(shard: Int) -> ByteBuffer
  /// Merges a slice's answer. Returns whether the shard has more to do.
  mutating func merge(_ response: UnsafeRawBufferPointer, shard: Int) throws(CallError) -> Bool
  /// Notes a shard that the call goes on without.
  mutating func missing(_ error: CallError, shard: Int)
  /// The answer, once every shard is done. Asked for once.
  mutating func answer() -> ByteBuffer
}

extension ShardMerge {
  package var lane: LinkLane { .calls }
  package var heldBytes: Int { 0 }
  package mutating func begin(on port: any PartPort) {}

  package func doesWithout(_ error: CallError) -> Bool {
    allowsPartial && error.code == .unavailable
  }
}

package final class EveryShardOperation<Merge: ShardMerge>: FanoutOperation {
  package var handle: UInt64 = 0
  private var merge: Merge
  private var unfinished = 0
  private var hasEnded = false

  package init(_ merge: Merge) {
    self.merge = merge
  }

  package var heldBytes: Int { merge.heldBytes }

  package func start(on port: any PartPort) {
    unfinished = port.shardIDs.count
    merge.begin(on: port)
    for shard in port.shardIDs.indices { sendSlice(shard, on: port) }
  }

  package func part(
    _ tag: Int, answered response: UnsafeRawBufferPointer, on port: any PartPort
  ) {
    guard !hasEnded else { return }
    do throws(CallError) {
      if try merge.merge(response, shard: tag) {
        sendSlice(tag, on: port)
      } else {
        shardEnded(on: port)
      }
    } catch {
      fail(error, on: port)
    }
  }

  package func part(_ tag: Int, failed error: CallError, on port: any PartPort) {
    guard !hasEnded else { return }
    guard merge.doesWithout(error) else {
      fail(error, on: port)
      return
    }
    merge.missing(error, shard: tag)
    shardEnded(on: port)
  }

  private func sendSlice(_ shard: Int, on port: any PartPort) {
    let request = merge.request(shard: shard)
    request.withUnsafeReadableBytes { bytes in
      port.send(
        Part(
          operation: self, tag: shard, method: merge.method, shard: shard, lane: merge.lane),
        request: bytes)
    }
  }

  private func shardEnded(on port: any PartPort) {
    unfinished -= 1
    guard unfinished == 0 else { return }
    hasEnded = true
    port.finish(self, response: merge.answer())
  }

  private func fail(_ error: CallError, on port: any PartPort) {
    hasEnded = true
    port.finish(self, error: error)
  }
}

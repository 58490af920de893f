// Snapshot: every shard makes a pass at once; a stream of messages reports the progress.
//
//   a part for each shard --its pass's number--> parts with that number, one after another; the
//   shard replies to each when there is news --> complete, or failed
//
// A failed shard doesn't end the call: the others' passes are still made, so the caller gets their
// progress to the end, and then the error.

import Commands
import NIOCore
import RingstoreAPI

package final class SnapshotOperation: FanoutOperation {
  private var shards: [Shard] = []
  private var unfinished = 0
  private var firstFailure: CallError?
  /// Whether there is progress that was not sent to the caller.
  private var hasNews = false

  private struct Shard {
    var pass: UInt64 = 0
    /// As encoded by the shard.
    var progress: ByteBuffer?
  }

  package init(_ call: V1.SnapshotRequest) throws(CallError) {
    if call.hasUnknownField { throw .unknownField }
  }

  package var isStream: Bool { true }

  package func start(on cluster: any FanoutCluster) -> [FanoutAction] {
    shards = cluster.shardIDs.map { _ in Shard() }
    unfinished = shards.count
    return shards.indices.map { part($0) }
  }

  package func received(_ tag: Int, _ response: UnsafeRawBufferPointer) -> [FanoutAction] {
    do throws(CallError) {
      let reply = try LinkV1.SnapshotPartReply(decoding: response)
      guard let progress = reply.progress else {
        throw .internalError("a shard reported nothing about its snapshot")
      }
      shards[tag].pass = reply.pass
      shards[tag].progress = ByteBuffer.of(progress)
      hasNews = true
      if progress.complete {
        unfinished -= 1
        return []
      }
      return [part(tag)]
    } catch {
      return failed(tag, error)
    }
  }

  package func failed(_ tag: Int, _ error: CallError) -> [FanoutAction] {
    if firstFailure == nil { firstFailure = error }
    unfinished -= 1
    return []
  }

  package func advance() -> [FanoutAction] {
    var actions: [FanoutAction] = []
    if hasNews {
      hasNews = false
      var message = ByteBuffer()
      for case let progress? in shards.map(\.progress) {
        progress.withUnsafeReadableBytes {
          message.append(V1.SnapshotProgress.Field.shards, $0)
        }
      }
      actions.append(.emit(message))
    }
    if unfinished == 0 { actions.append(.end(firstFailure.map { .failed($0) } ?? .complete)) }
    return actions
  }

  private func part(_ shard: Int) -> FanoutAction {
    var request = ByteBuffer()
    LinkV1.SnapshotPartRequest(pass: shards[shard].pass).write(into: &request)
    return .send(SubRequest(.snapshotPart, shard: shard, request: request))
  }
}

extension ByteBuffer {
  fileprivate static func of(_ message: V1.ShardSnapshot) -> ByteBuffer {
    var bytes = ByteBuffer()
    message.write(into: &bytes)
    return bytes
  }
}

// Backup: a stream of pieces, of all shards side by side.
//
// The request for a piece is the credit: the next one is requested from a shard when the caller has
// read the previous one. So a slow caller uses one piece of each shard, and delays only its own
// backup.

import Commands
import NIOCore
import RingstoreAPI

package final class BackupOperation: FanoutOperation {
  private var cluster: (any FanoutCluster)?
  private var mapEpoch: UInt64 = 0
  private var shards: [Shard] = []
  private var unfinished = 0
  /// Encoded pieces that wait for the caller, with their shards.
  private var waiting = CircularBuffer<(shard: Int, message: ByteBuffer)>()

  private struct Shard {
    /// The shard's number for its part.
    var backup: UInt64 = 0
    var isComplete = false
  }

  package init(_ call: V1.BackupRequest) throws(CallError) {
    if call.hasUnknownField { throw .unknownField }
  }

  package var isStream: Bool { true }

  package var heldBytes: Int { waiting.reduce(0) { $0 + $1.message.readableBytes } }

  package func start(on cluster: any FanoutCluster) -> [FanoutAction] {
    self.cluster = cluster
    mapEpoch = cluster.mapEpoch
    shards = cluster.shardIDs.map { _ in Shard() }
    unfinished = shards.count
    return shards.indices.map { part($0) }
  }

  package func received(_ tag: Int, _ response: UnsafeRawBufferPointer) -> [FanoutAction] {
    do throws(CallError) {
      let reply = try LinkV1.BackupPartReply(decoding: response)
      guard let piece = reply.piece else {
        throw .internalError("a shard reported nothing about its backup")
      }
      shards[tag].backup = reply.backup
      shards[tag].isComplete = piece.complete
      var message = ByteBuffer()
      piece.write(into: &message)
      waiting.append((tag, message))
      return []
    } catch {
      return failed(tag, error)
    }
  }

  package func failed(_ tag: Int, _ error: CallError) -> [FanoutAction] {
    cluster = nil
    return [.end(.failed(error))]
  }

  package func advance() -> [FanoutAction] {
    guard let next = waiting.popFirst() else { return [] }
    guard shards[next.shard].isComplete else { return [.emit(next.message), part(next.shard)] }
    unfinished -= 1
    guard unfinished == 0 else { return [.emit(next.message)] }
    let epoch = cluster?.mapEpoch
    cluster = nil
    // A shard that was added meanwhile isn't in it.
    guard epoch == mapEpoch else { return [.end(.failed(.mapChanged))] }
    return [.emit(next.message), .end(.complete)]
  }

  private func part(_ shard: Int) -> FanoutAction {
    var request = ByteBuffer()
    LinkV1.BackupPartRequest(backup: shards[shard].backup).write(into: &request)
    return .send(SubRequest(.backupPart, shard: shard, lane: .bulk, request: request))
  }
}

extension CallError {
  fileprivate static var mapChanged: CallError {
    CallError(
      .mapConflict,
      "The cluster's shards changed during the backup, so keys may be missing in it. "
        + "Start the backup again.")
  }
}

// Shutdown: of the node asked alone, or of every shard and then the router asked.

import Commands
import NIOCore
import RingstoreAPI

/// Ends nodes. Every shard has to agree before the router itself ends; one that can't be reached
/// fails the call, and the router goes on so that the caller can try again.
package final class ShutdownOperation: FanoutOperation {
  private let wholeCluster: Bool
  private var unanswered = 0
  private var firstFailure: CallError?

  package init(_ call: V1.ShutdownRequest) throws(CallError) {
    if call.hasUnknownField { throw .unknownField }
    wholeCluster = call.wholeCluster
  }

  package func start(on cluster: any FanoutCluster) -> [FanoutAction] {
    guard wholeCluster else { return end }
    guard cluster.servesCluster else {
      let error = CallError(
        code: .failedPrecondition,
        message: "A shard can end only itself; ask a router to end the whole cluster.")
      return [.end(.failed(error))]
    }
    unanswered = cluster.shardIDs.count
    if unanswered == 0 { return end }
    return cluster.shardIDs.indices.map {
      .send(SubRequest(.shutdownPart, shard: $0, request: ByteBuffer()))
    }
  }

  package func answered(_ tag: Int, _ response: UnsafeRawBufferPointer) -> [FanoutAction] {
    shardEnded()
  }

  package func failed(_ tag: Int, _ error: CallError) -> [FanoutAction] {
    if firstFailure == nil { firstFailure = error }
    return shardEnded()
  }

  /// Waits for every shard, also after a failure: those that can end are told to, whatever the
  /// others say.
  private func shardEnded() -> [FanoutAction] {
    unanswered -= 1
    return unanswered == 0 ? end : []
  }

  private var end: [FanoutAction] {
    if let firstFailure { return [.end(.failed(firstFailure))] }
    return [.endNode, .end(.response(ByteBuffer()))]
  }
}

// Shutdown: of this node, of one shard, or of every shard and then this router.

import Commands
import NIOCore
import RingstoreAPI

/// Stops nodes. Every shard must accept before the router itself stops; if one can't be reached the
/// call fails, and the router keeps running so that the caller can try again.
package final class ShutdownOperation: FanoutOperation {
  private let wholeCluster: Bool
  /// The single shard to stop; empty: none.
  private let node: String
  private var unfinished = 0
  private var isOfOneShard = false
  private var firstFailure: CallError?

  package init(_ call: V1.ShutdownRequest) throws(CallError) {
    if call.hasUnknownField { throw .unknownField }
    wholeCluster = call.wholeCluster
    node = String(decoding: call.node, as: UTF8.self)
    guard node.isEmpty || !wholeCluster else {
      throw CallError(
        code: .invalidArgument, message: "Name either a node or the whole cluster, not both.")
    }
  }

  package func start(on cluster: any FanoutCluster) -> [FanoutAction] {
    guard node.isEmpty || cluster.isThisNode(node) else { return endShard(of: cluster) }
    guard wholeCluster else { return end }
    guard cluster.servesCluster else {
      let error = CallError(
        code: .failedPrecondition,
        message: "A shard can stop only itself; use a router to stop the whole cluster.")
      return [.end(.failed(error))]
    }
    unfinished = cluster.shardIDs.count
    if unfinished == 0 { return end }
    return cluster.shardIDs.indices.map {
      .send(SubRequest(.shutdownPart, shard: $0, request: ByteBuffer()))
    }
  }

  private func endShard(of cluster: any FanoutCluster) -> [FanoutAction] {
    guard cluster.servesCluster, let shard = cluster.shardIDs.firstIndex(of: node) else {
      return [.end(.failed(.noSuchNode(node)))]
    }
    isOfOneShard = true
    unfinished = 1
    return [.send(SubRequest(.shutdownPart, shard: shard, request: ByteBuffer()))]
  }

  package func received(_ tag: Int, _ response: UnsafeRawBufferPointer) -> [FanoutAction] {
    shardEnded()
  }

  package func failed(_ tag: Int, _ error: CallError) -> [FanoutAction] {
    if firstFailure == nil { firstFailure = error }
    return shardEnded()
  }

  /// Waits for every shard, also after a failure: reachable shards stop, independent of the others.
  private func shardEnded() -> [FanoutAction] {
    unfinished -= 1
    return unfinished == 0 ? end : []
  }

  private var end: [FanoutAction] {
    if let firstFailure { return [.end(.failed(firstFailure))] }
    return (isOfOneShard ? [] : [.endNode]) + [.end(.response(ByteBuffer()))]
  }
}

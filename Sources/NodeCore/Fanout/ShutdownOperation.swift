// Shutdown: of the node asked alone, or of every shard and then the router asked.

import Commands
import NIOCore
import RingstoreAPI

/// Ends nodes. Every shard has to agree before the router itself ends; one that can't be reached
/// fails the call, and the router goes on so that the caller can try again.
package final class ShutdownOperation: FanoutOperation {
  package var handle: UInt64 = 0
  private let wholeCluster: Bool
  private var unanswered = 0
  private var firstFailure: CallError?

  package init(_ call: V1.ShutdownRequest) throws(CallError) {
    if call.hasUnknownField { throw .unknownField }
    wholeCluster = call.wholeCluster
  }

  package func start(on port: any PartPort) {
    guard wholeCluster else {
      finish(on: port)
      return
    }
    guard port.servesCluster else {
      port.finish(
        self,
        error: CallError(
          code: .failedPrecondition,
          message: "A shard can end only itself; ask a router to end the whole cluster."))
      return
    }
    unanswered = port.shardIDs.count
    for shard in port.shardIDs.indices {
      port.send(
        Part(
          operation: self, tag: shard, method: InternalMethod.shutdownPart.rawValue, shard: shard),
        request: noBytes)
    }
    if unanswered == 0 { finish(on: port) }
  }

  package func part(
    _ tag: Int, answered response: UnsafeRawBufferPointer, on port: any PartPort
  ) {
    settle(on: port)
  }

  package func part(_ tag: Int, failed error: CallError, on port: any PartPort) {
    if firstFailure == nil { firstFailure = error }
    settle(on: port)
  }

  /// Waits for every shard, also after a failure: those that can end are told to, whatever the
  /// others say.
  private func settle(on port: any PartPort) {
    unanswered -= 1
    if unanswered == 0 { finish(on: port) }
  }

  private func finish(on port: any PartPort) {
    if let firstFailure {
      port.finish(self, error: firstFailure)
    } else {
      port.endNode()
      port.finish(self, response: ByteBuffer())
    }
  }
}

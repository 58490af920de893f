// The interface of a front to its node. There are two implementations: a router's loop, which sends
// calls over links, and a shard's core in the same loop, which executes them at once.
//
// All of it lives on one event loop, the node's.

import Commands
import GRPC
import LargeMemory
import NIOCore
import NodeCore
import RingstoreAPI
import StandardServices
import Users

package protocol Dispatcher: StandardServicesNode {
  /// The limits for requests.
  var limits: Limits { get }
  /// The loop's account of replies that are ready and have not been sent.
  var replyMemory: MemoryBudget { get }
  var flusher: FlushCoalescer { get }

  // MARK: Calls

  /// Takes a client's unary call on one key. Returns its id while it is in progress; nil if its
  /// reply was sent. Most calls come this way, so a shard can reply without a `FrontCaller`.
  ///
  /// - Parameters:
  ///   - block: the block that contains the message, if it may be kept.
  ///   - principal: the caller; nil: the node has no users.
  ///   - span: the number of the call's span; 0: it isn't traced.
  func unary(
    _ call: ServerCall, _ message: UnsafeRawBufferPointer, in block: LargeBlock?,
    _ principal: Principal?, span: UInt32
  ) -> UInt64?

  /// Takes a local call on one key, which the node ends at its deadline.
  ///
  /// - Parameter context: the caller and the deadline.
  func submit(_ call: LocalCall, _ request: any KeyedCall, _ context: CallContext) -> UInt64?

  /// Takes an LRangeStream, whose caller is a stream.
  func openStream(
    _ message: UnsafeRawBufferPointer, _ context: CallContext, for caller: FrontCaller
  ) -> UInt64?

  /// Takes a call that is made of sub-requests.
  func start(
    _ command: CommandID, _ operation: any FanoutOperation, _ context: CallContext,
    endsAtDeadline: Bool, for caller: FrontCaller
  ) -> UInt64?

  /// Reads a Pipeline's batch, which is accepted as a whole or not at all. `place` follows at once.
  func read(_ batch: UnsafeRawBufferPointer) throws(WireError)

  /// Takes calls from the front of a Pipeline's batch as long as the pipeline's window allows.
  /// Returns how many bytes they took.
  ///
  /// - Parameter block: what the batch lies in, where it may be kept.
  func place(
    _ batch: UnsafeRawBufferPointer, in block: LargeBlock?, of pipeline: FrontPipeline
  ) throws(WireError) -> Int

  /// The caller of a call in progress has disconnected. Does nothing for a call that has ended.
  func cancel(_ id: UInt64)
  /// The caller of a call in progress waits for a value no longer, and still gets its reply.
  func endWait(_ id: UInt64)
  /// The client of a Pipeline with calls in progress has disconnected.
  func cancelCalls(of pipeline: FrontPipeline)
  /// Users have lost credentials or permissions: their calls that wait for values end, and those
  /// whose replies are streams, calls on many keys, and their links.
  func endRevokedCalls()
  /// The caller of a call accepts more of a large or streamed reply again.
  func callerTakesMore(_ id: UInt64)
  /// Fails a call that the node has not accepted.
  func fail(_ caller: FrontCaller, error: CallError)

  // MARK: The node

  /// The context of a call that the front must keep, as of now.
  func context(of call: CallContext) -> CallContext
  /// Whether a call about a node is about this one.
  func isThisNode(_ node: String) -> Bool
  /// What Describe starts from.
  func describe() -> DescribeMerge
  /// The node's counters, if they must be fetched before a Stats call is started.
  func fetchCounters() -> EventLoopFuture<Void>?
  /// Executes a call that changes the cluster's shards (Reload, AcceptLoss).
  ///
  /// - Parameter message: the request.
  /// - Returns: the response, or a CallError; nil if the node doesn't support it.
  func administer(
    _ command: CommandID, _ message: UnsafeRawBufferPointer
  ) throws(CallError) -> EventLoopFuture<ByteBuffer>?
  /// Counts a client's call that is a stream, or made of sub-requests. All others are counted by
  /// the node: by a router when it takes them, by a shard when it executes them.
  func countCall(_ method: UInt32)
  /// Counts an error that the node has not seen.
  func countError(_ error: CallError)
  /// Called after everything that may have given the node work.
  func afterEvent()
}

/// What serves the links of routers, on a shard.
package protocol LinkService: AnyObject {
  /// - Parameter caller: the router, as one of the node's users; nil: the node has none.
  func linkOpened(_ call: ServerCall, _ caller: StreamCaller?)
  func link(_ call: ServerCall, received frame: UnsafeRawBufferPointer)
  func linkHalfClosed(_ call: ServerCall)
  func linkWritable(_ call: ServerCall)
  func linkEnded(_ call: ServerCall)
}

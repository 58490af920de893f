// The interface of the router's pure core to its environment. The real driver uses sockets, the
// simulation a virtual network; both call the core from one thread.

import NIOCore
import NodeCore
import RingstoreAPI
import Users

package protocol RouterDriver: AnyObject {
  /// Identifies the receiver of a call's reply.
  associatedtype Caller

  // MARK: Replies

  /// Replies to a call; `response` is valid during the call only.
  func reply(to caller: Caller, response: UnsafeRawBufferPointer)
  /// Replies to a call with a response that may be large: an operation's, or a collected one.
  func reply(to caller: Caller, response: ByteBuffer)
  /// Ends a call of any kind with an error, a stream after the messages sent.
  func fail(_ caller: Caller, error: CallError)

  /// Whether the caller accepts a large reply in chunks; otherwise it is collected first.
  func takesPieces(_ caller: Caller) -> Bool
  /// Begins a reply of `byteCount` bytes, all of which follow in pieces unless it fails.
  func beginReply(_ caller: Caller, byteCount: Int)
  func appendToReply(_ caller: Caller, _ piece: UnsafeRawBufferPointer)
  /// The last piece was appended.
  func finishReply(_ caller: Caller)
  /// Ends a reply that has begun and can't be completed.
  func failReply(_ caller: Caller, error: CallError)

  /// Sends one message of a reply that is a stream.
  func emit(_ caller: Caller, message: UnsafeRawBufferPointer)
  /// Ends a reply that is a stream, well.
  func finishStream(_ caller: Caller)

  /// Whether the caller accepts more of a large or streamed reply. If not, the driver calls
  /// `callerWritable(id)` once it does.
  func takesMore(_ caller: Caller, id: UInt64) -> Bool
  /// This many bytes were requested from a shard for this caller; a negative number subtracts them
  /// again, when they have arrived or never will. `takesMore` includes the expected bytes.
  func expect(_ byteCount: Int, for caller: Caller)

  // MARK: Calls that wait for values

  /// A call of this caller waits for a value from now on, and does not count as in progress.
  /// Returns false if the caller already has the maximum of such calls.
  func parked(_ caller: Caller) -> Bool
  /// Whose call it is, as of now; nil: the router has no users.
  ///
  /// - Throws: UNAUTHENTICATED, PERMISSION_DENIED if the user may no longer make it.
  func principal(of caller: Caller) throws(CallError) -> Principal?
  /// It no longer waits: its reply comes next, or it is routed again.
  func unparked(_ caller: Caller)

  // MARK: Links

  /// Connects both lanes of a link, and resolves the address again. Calls `linkConnected` or
  /// `linkLost` for each.
  func connect(shard: Int, address: String, generation: UInt64)
  /// Closes the connections of both lanes, without notifying the core.
  func disconnect(shard: Int, generation: UInt64)
  /// A lane has frames to send: call `takeFrame` before the tick ends, until there is none. (It is
  /// called again only after that.)
  func linkHasOutput(shard: Int, lane: LinkLane)

  // MARK: Back-pressure

  /// A call of this caller waits for space on a link: read nothing more from its connection until
  /// `resumeReading` was called equally often.
  func pauseReading(for caller: Caller)
  func resumeReading(for caller: Caller)

  // MARK: The node

  /// The time of the tick, on the core's clock, as the loop has read it; 0: nothing is measured.
  var tickNanos: UInt64 { get }
  /// The node's own counters, by name.
  var counters: [String: Int64] { get }
  /// Stops the node, after the reply to the call that requested it.
  func endNode()

  /// An event for the operator has happened.
  func note(_ event: RouterEvent)
}

extension RouterDriver {
  package func reply(to caller: Caller, response: ByteBuffer) {
    response.withUnsafeReadableBytes { reply(to: caller, response: $0) }
  }

  package var tickNanos: UInt64 { 0 }
  package func parked(_ caller: Caller) -> Bool { true }
  package func principal(of caller: Caller) throws(CallError) -> Principal? { nil }
  package func unparked(_ caller: Caller) {}
}

/// The events of links in a router's log.
package enum RouterEvent: Sendable, Equatable {
  case linkReady(shard: String, incarnation: UInt64)
  /// The shard came back with another incarnation: its data is lost unless it is on disk.
  case shardRestarted(shard: String, incarnation: UInt64, keepsData: Bool)
  /// - Parameter advice: what it means and what to do.
  case linkRefused(shard: String, reason: String, advice: String)
  case linkLost(shard: String, reason: String)
  case linkDraining(shard: String)
  /// A newer slot map is known, which not every shard has adopted.
  case mapPending(epoch: UInt64)
  case mapInForce(epoch: UInt64)
  /// The shard no longer belongs to the cluster, and its link is closed.
  case shardDropped(shard: String)
  /// An operator has accepted that the shard has other data than before.
  case lossAccepted(shard: String)
}

// What the router's pure core asks of the world around it. The real driver answers with sockets,
// the simulation with a virtual network; both call the core from one thread.

import NIOCore
import NodeCore
import RingstoreAPI
import Users

package protocol RouterDriver: AnyObject {
  /// Names who waits for a call's reply.
  associatedtype Caller

  // MARK: Answers

  /// Answers a call; `response` is valid during the call only.
  func answer(_ caller: Caller, response: UnsafeRawBufferPointer)
  /// Answers a call with a response that may be large: an operation's, or one that was gathered.
  func answer(_ caller: Caller, response: ByteBuffer)
  /// Ends a call of any kind with an error, a stream after the messages sent.
  func fail(_ caller: Caller, error: CallError)

  /// Whether the caller takes a large reply in pieces; otherwise it is gathered first.
  func takesPieces(_ caller: Caller) -> Bool
  /// Begins a reply of `byteCount` bytes, all of which follow in pieces unless it fails.
  func beginAnswer(_ caller: Caller, byteCount: Int)
  func appendAnswer(_ caller: Caller, _ piece: UnsafeRawBufferPointer)
  /// The last piece was appended.
  func finishAnswer(_ caller: Caller)
  /// Ends a reply that has begun and can't be completed.
  func failAnswer(_ caller: Caller, error: CallError)

  /// Sends one message of a reply that is a stream.
  func emit(_ caller: Caller, message: UnsafeRawBufferPointer)
  /// Ends a reply that is a stream, well.
  func finishStream(_ caller: Caller)

  /// Whether the caller takes more of a large or streamed reply. Where not, the driver calls
  /// `callerWritable(id)` once it does.
  func takesMore(_ caller: Caller, id: UInt64) -> Bool
  /// A shard was asked for so many bytes for this caller; a negative number takes that back, when
  /// they have come or never will. What is expected counts where `takesMore` is decided.
  func expect(_ byteCount: Int, for caller: Caller)

  // MARK: Calls that wait for values

  /// A call of this caller waits for a value from now on, and does not count as under way. Returns
  /// false where the caller may have no more such calls.
  func parked(_ caller: Caller) -> Bool
  /// Whose call it is, as of now; nil: the router has no users.
  ///
  /// - Throws: UNAUTHENTICATED, PERMISSION_DENIED where he may not make it any more.
  func principal(of caller: Caller) throws(CallError) -> Principal?
  /// It waits no more: its reply comes next, or it is placed anew.
  func unparked(_ caller: Caller)

  // MARK: Links

  /// Dials both lanes of a link, resolving the address anew. What becomes of each is told by
  /// `linkConnected` or `linkLost`.
  func connect(shard: Int, address: String, generation: UInt64)
  /// Drops the connections of both lanes, without telling the core.
  func disconnect(shard: Int, generation: UInt64)
  /// A lane has frames to send: call `takeFrame` before the tick ends, until there is none. (It is
  /// told again only then.)
  func linkHasOutput(shard: Int, lane: LinkLane)

  // MARK: Back-pressure

  /// A call of this caller waits for room on a link: read nothing more from its connection until
  /// as many `resumeReading` have come.
  func pauseReading(for caller: Caller)
  func resumeReading(for caller: Caller)

  // MARK: The node

  /// The time of the tick, on the core's clock, as the loop has read it; 0: nothing is measured.
  var tickNanos: UInt64 { get }
  /// The node's own counters, by name.
  var counters: [String: Int64] { get }
  /// Ends the node, once the call that asked for it is answered.
  func endNode()

  /// Something that an operator wants to know has happened.
  func note(_ event: RouterEvent)
}

extension RouterDriver {
  package func answer(_ caller: Caller, response: ByteBuffer) {
    response.withUnsafeReadableBytes { answer(caller, response: $0) }
  }

  package var tickNanos: UInt64 { 0 }
  package func parked(_ caller: Caller) -> Bool { true }
  package func principal(of caller: Caller) throws(CallError) -> Principal? { nil }
  package func unparked(_ caller: Caller) {}
}

/// What a router's log tells about its links.
package enum RouterEvent: Sendable, Equatable {
  case linkReady(shard: String, incarnation: UInt64)
  /// The shard came back with another incarnation: what it held is gone unless it keeps its data.
  case shardRestarted(shard: String, incarnation: UInt64, keepsData: Bool)
  /// - Parameter advice: what it means and what to do.
  case linkRefused(shard: String, reason: String, advice: String)
  case linkLost(shard: String, reason: String)
  case linkDraining(shard: String)
  /// A newer slot map is known, which not every shard has adopted.
  case mapPending(epoch: UInt64)
  case mapInForce(epoch: UInt64)
  /// The shard doesn't belong to the cluster any more, and its link is gone.
  case shardDropped(shard: String)
  /// An operator has accepted that the shard has other data than before.
  case lossAccepted(shard: String)
}

// What the router's pure core asks of the world around it. The real driver answers with sockets,
// the simulation with a virtual network; both call the core from one thread.

import NIOCore
import RingstoreAPI

package protocol RouterDriver: AnyObject {
  /// Names who waits for a call's answer.
  associatedtype Caller

  /// Answers a call; `response` is valid during the call only.
  func answer(_ caller: Caller, response: UnsafeRawBufferPointer)
  func fail(_ caller: Caller, error: CallError)

  /// Dials a shard, resolving its address anew. The outcome comes as `linkConnected` or `linkLost`.
  func connect(shard: Int, address: String, generation: UInt64)
  /// Drops a connection, without telling the core.
  func disconnect(shard: Int, generation: UInt64)
  /// A link has frames to send: call `takeFrame` before the tick ends.
  func linkHasOutput(shard: Int)

  /// A call of this caller waits for room on a link: read nothing more from its connection until
  /// as many `resumeReading` have come.
  func pauseReading(for caller: Caller)
  func resumeReading(for caller: Caller)

  /// Something that an operator wants to know has happened.
  func note(_ event: RouterEvent)
}

/// What a router's log tells about its links.
package enum RouterEvent: Sendable, Equatable {
  case linkReady(shard: String, incarnation: UInt64)
  /// The shard came back with another incarnation: what it held in memory is gone.
  case shardRestarted(shard: String, incarnation: UInt64)
  case linkRefused(shard: String, reason: String)
  case linkLost(shard: String, reason: String)
  case linkDraining(shard: String)
}

// How the legacy services and the line protocol make calls on a node's event loop. They translate
// their own messages into calls of ringstore.v1, and the node treats those as it treats all calls:
// the same checks, the same bounds, the same counters. Calls on one key and their replies are
// handed over in the types of their messages; only a router encodes them, because there they leave
// the process.
//
// All of it lives on one event loop, the node's.

import Commands
import NIOCore
import RingstoreAPI
import Users

/// What is told the outcome of a call made from within: the reply, valid during the call only, or
/// the error that a client would get.
package typealias LocalReply = (Result<CallReply, CallError>) -> Void

/// Where calls are made from within. A router's loop and a shard's are such ports.
package protocol LocalDispatcher: AnyObject {
  /// The bounds that requests are checked against.
  var limits: Limits { get }

  /// Makes a call on one key.
  ///
  /// `reply` is called exactly once, on the loop, unless the call is cancelled first. That may
  /// happen before this returns. A caller that makes its next call from within `reply` may have
  /// that one answered at once as well, so it must bound the depth; and it must have read the first
  /// reply.
  ///
  /// Calls on one key are executed in the order in which they were made, whether the earlier ones
  /// have been answered or not.
  ///
  /// - Parameters:
  ///   - context: who calls, and until when: the deadline is on the clock of NIODeadline.
  ///   - caller: who is asked to wait, where the node is overloaded. Kept until the call is over.
  /// - Returns: the call while it is under way, for `cancel`; nil where it was answered already.
  @discardableResult
  func call(
    _ call: any KeyedCall, _ context: CallContext, for caller: (any LocalCaller)?,
    reply: @escaping LocalReply
  ) -> LocalCall?

  /// Makes a call that is made of parts and has one reply: MGet, Keys, Reset and so on. The
  /// streaming ones (Scan) are answered with an error, as are calls on one key.
  ///
  /// - Parameter request: the encoded request message of the call.
  @discardableResult
  func call(
    _ command: Command, request: ByteBuffer, _ context: CallContext,
    for caller: (any LocalCaller)?, reply: @escaping LocalReply
  ) -> LocalCall?

  /// The call is not wanted any more: `reply` will not be called. As with any call that is
  /// cancelled, a write may have been carried out or not. Does nothing for a call that is over.
  func cancel(_ call: LocalCall)

  /// Notes a call that was refused before it was made here, or whose reply could not be translated:
  /// the node counts it among its errors.
  func countError(_ error: CallError)

  /// The loop's account of replies that are ready and have not been sent. A caller that keeps a
  /// large one for a client notes it here, and refuses a read (`answersHoldTooMuch`) where there is
  /// no room.
  var replyMemory: MemoryBudget { get }

  /// A caller that took no large reply (`LocalCaller.takesLargeReply`) does so now.
  func callerTakesMore(_ call: LocalCall)
}

extension LocalDispatcher {
  /// Without bound, for ports that keep no account.
  package var replyMemory: MemoryBudget { MemoryBudget(bytesMax: .max) }
}

/// Who makes calls through a port: a connection, say.
package protocol LocalCaller: AnyObject {
  /// Calls of this caller wait for room. It is to make no further ones, and to read nothing more
  /// from its client, until as many `resumeReading` have come. Calls made all the same are taken
  /// until the bounds on what waits refuse them (OVERLOADED).
  func pauseReading()
  /// Takes back one `pauseReading`. Comes from within the node's work: the caller is to go on in a
  /// later event of the loop.
  func resumeReading()

  /// Whether a reply of more than `Limits.bulkBytesMin` may be brought into memory for this caller
  /// now. If not, the caller tells the port by `callerTakesMore` when it may, and is asked again.
  /// Not asked any more once `expectsLargeReply` has come.
  func takesLargeReply(of call: LocalCall) -> Bool
  /// So many bytes of a large reply were asked for and will be in memory soon.
  func expectsLargeReply(of call: LocalCall, byteCount: Int)

  /// The client's address, for logs.
  var peer: String { get }

  /// Whose call it is; nil: the node has no users.
  var principal: Principal? { get }

  /// Whether its calls come from outside without saying of which trace they are a part: some of
  /// them are traced by lot.
  var isTracedByLot: Bool { get }
}

extension LocalCaller {
  package func takesLargeReply(of call: LocalCall) -> Bool { true }
  package func expectsLargeReply(of call: LocalCall, byteCount: Int) {}
  package var peer: String { "" }
  package var principal: Principal? { nil }
  package var isTracedByLot: Bool { false }
}

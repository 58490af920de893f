// How the legacy services and the line protocol make calls on a node's event loop. They translate
// their own messages into calls of ringstore.v1, and the node handles these like all calls: the
// same checks, limits and counters. Calls on one key and their replies are passed as values of
// their messages' types; only a router encodes them, because there they leave the process.
//
// All of it is on one event loop, the node's.

import Commands
import NIOCore
import RingstoreAPI
import Users

/// Receives the outcome of a local call: the reply, valid only inside the closure, or the error
/// that a client would get.
package typealias LocalReply = (Result<CallReply, CallError>) -> Void

/// Where calls are made from within. A router's loop and a shard's are such ports.
package protocol LocalDispatcher: AnyObject {
  /// The limits for requests.
  var limits: Limits { get }

  /// Makes a call on one key.
  ///
  /// `reply` is called exactly once, on the loop, unless the call is cancelled first. That may
  /// happen before this returns. A caller that makes its next call inside `reply` may get that
  /// reply at once too, so it must limit the depth; and it must have read the first reply.
  ///
  /// Calls on one key are executed in the order in which they were made, even if earlier ones have
  /// no reply yet.
  ///
  /// - Parameters:
  ///   - context: the caller and the deadline, on the clock of NIODeadline.
  ///   - caller: must wait if the node is overloaded. Kept until the call has ended.
  /// - Returns: the call while it is in progress, for `cancel`; nil if it already has its reply.
  @discardableResult
  func call(
    _ call: any KeyedCall, _ context: CallContext, for caller: (any LocalCaller)?,
    reply: @escaping LocalReply
  ) -> LocalCall?

  /// Makes a call that is made of parts and has one reply: MGet, Keys, Reset and so on. Streaming
  /// calls (Scan) and calls on one key get an error.
  ///
  /// - Parameters:
  ///   - request: the encoded request message of the call.
  ///   - caller: nil: the node itself, for a page of the admin port. Its reads are not audited.
  @discardableResult
  func call(
    _ command: Command, request: ByteBuffer, _ context: CallContext,
    for caller: (any LocalCaller)?, reply: @escaping LocalReply
  ) -> LocalCall?

  /// Cancels the call: `reply` will not be called. As with any cancelled call, a write may have
  /// been executed or not. Does nothing for an ended call.
  func cancel(_ call: LocalCall)

  /// The caller waits for a value no longer. A call that has found none so far is not executed, and
  /// gets the reply of a call that found nothing; one that has taken its value gets that. Only the
  /// shard knows which, so the reply may come later. Does nothing for a call that doesn't wait.
  func endWait(_ call: LocalCall)

  /// Counts a call that was refused before it was made here, or whose reply could not be
  /// translated, as an error.
  func countError(_ error: CallError)

  /// The loop's account of finished replies that have not been sent. A caller that keeps a large
  /// one for a client adds it here, and refuses a read (`repliesHoldTooMuch`) if it doesn't fit.
  var replyMemory: MemoryBudget { get }

  /// A caller that accepted no large reply (`LocalCaller.takesLargeReply`) does so now.
  func callerTakesMore(_ call: LocalCall)
}

extension LocalDispatcher {
  /// Without a limit, for dispatchers that keep no account.
  package var replyMemory: MemoryBudget { MemoryBudget(bytesMax: .max) }
}

/// The maker of local calls, for example a connection.
package protocol LocalCaller: AnyObject {
  /// Calls of this caller wait for space. It must make no further ones, and read nothing more from
  /// its client, until `resumeReading` was called equally often. Calls made anyway are accepted
  /// until the limits of waiting calls refuse them (OVERLOADED).
  func pauseReading()
  /// Ends one `pauseReading`. Called inside the node's work: the caller must continue in a later
  /// event of the loop.
  func resumeReading()

  /// Whether a reply of more than `Limits.bulkBytesMin` may be loaded into memory for this caller
  /// now. If not, the caller calls `callerTakesMore` when it may, and this is checked again. Not
  /// checked after `expectsLargeReply`.
  func takesLargeReply(of call: LocalCall) -> Bool
  /// This many bytes of a large reply were requested and will be in memory soon.
  func expectsLargeReply(of call: LocalCall, byteCount: Int)

  /// The client's address, for logs.
  var peer: String { get }

  /// Whose call it is; nil: the node has no users.
  var principal: Principal? { get }

  /// Whether its calls are a client's, whose protocol has no traces: some of them are traced by
  /// chance (`trace_sample_ratio`).
  var samplesCalls: Bool { get }
}

extension LocalCaller {
  package func takesLargeReply(of call: LocalCall) -> Bool { true }
  package func expectsLargeReply(of call: LocalCall, byteCount: Int) {}
  package var peer: String { "" }
  package var principal: Principal? { nil }
  package var samplesCalls: Bool { false }
}

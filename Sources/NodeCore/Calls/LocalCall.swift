// One call made through a LocalDispatcher. Belongs to the node's event loop; the node keeps it
// while the call is in progress, the caller as long as it may cancel the call.

import Commands
import NIOCore
import RingstoreAPI

package final class LocalCall {
  package let command: Command
  /// Nil once the call is over.
  package private(set) var caller: (any LocalCaller)?
  /// The node's own number for the call; 0: none.
  package var id: UInt64 = 0
  /// The node's own object for the call.
  package var context: AnyObject?
  /// Whether a large reply was requested: then `takesLargeReply` is not checked again. For the
  /// node.
  package var isReplyExpected = false
  /// Called once with the error of the call, or nil if it succeeded.
  private var onEnd: ((CallError?) -> Void)?
  private var reply: LocalReply?

  package init(
    _ command: Command, for caller: (any LocalCaller)?, reply: @escaping LocalReply
  ) {
    self.command = command
    self.caller = caller
    self.reply = reply
  }

  /// Whether the call has its reply or was cancelled.
  package var isOver: Bool { reply == nil }

  /// Tells the caller the outcome, the first time it is called. For the node.
  package func end(_ outcome: Result<CallReply, CallError>) {
    let reply = self.reply
    if onEnd != nil {
      if case .failure(let error) = outcome { tellEnd(error) } else { tellEnd(nil) }
    }
    drop()
    reply?(outcome)
  }

  /// Delivers an encoded reply to the caller. For the node.
  ///
  /// - Parameter response: valid during the call only.
  package func respond(_ response: UnsafeRawBufferPointer) {
    guard !isOver else { return }
    do throws(WireError) {
      end(.success(try command.reply(response)))
    } catch {
      end(.failure(.internalError("The reply can't be decoded.")))
    }
  }

  /// As above, with a response that may be kept.
  package func respond(_ response: ByteBuffer) {
    if case .onKey = command.work {
      response.withUnsafeReadableBytes { respond($0) }
    } else {
      end(.success(.merged(response)))
    }
  }

  /// Ends the call unheard. For the node.
  package func drop() {
    if onEnd != nil { tellEnd(.cancelled) }
    reply = nil
    caller = nil
    context = nil
  }

  /// Calls a closure once with the error of the call, or nil if it succeeded, in addition to
  /// earlier closures.
  package func whenEnded(_ tell: @escaping (CallError?) -> Void) {
    guard let earlier = onEnd else {
      onEnd = tell
      return
    }
    onEnd = {
      earlier($0)
      tell($0)
    }
  }

  private func tellEnd(_ error: CallError?) {
    guard let tell = onEnd else { return }
    onEnd = nil
    tell(error)
  }

  /// A call's context at a time, with its deadline for timers: a deadline beyond the clock's range
  /// is replaced by a year.
  package static func bounded(_ context: CallContext, nowNanos: UInt64) -> CallContext {
    var context = context
    context.nowNanos = nowNanos
    context.deadlineNanos = min(context.deadlineNanos, nowNanos &+ 31_536_000_000_000_000)
    return context
  }

  /// The error of a command that can't be called through a port.
  package static func notOneReply(_ command: Command) -> CallError {
    CallError(
      code: .unimplemented, message: "The call \(command.name) has no single request and reply.")
  }
}

// Calls on a node from outside its event loops, as one of its users. The user is identified by a
// credential that was verified elsewhere; the loop looks it up again among its own principals, so
// the same permissions apply as for all other calls. Any thread.

import Commands
import NIOCore
import RingstoreAPI
import Users

package struct NodeCalls: Sendable {
  private let eventLoop: any EventLoop
  private let loops: NodeLoops
  /// Asked on the event loop only.
  private let entrance: @Sendable () -> (dispatcher: any LocalDispatcher, users: Authorizer?)

  /// - Parameters:
  ///   - eventLoop: the loop that carries the calls out.
  ///   - loops: those of the node.
  ///   - entrance: where they are made, and the loop's users; nil: the node has none.
  package init(
    on eventLoop: any EventLoop, of loops: NodeLoops,
    _ entrance: @escaping @Sendable () -> (dispatcher: any LocalDispatcher, users: Authorizer?)
  ) {
    self.eventLoop = eventLoop
    self.loops = loops
    self.entrance = entrance
  }

  /// Makes calls, and waits for their results. When the task is cancelled, so are the calls that
  /// `LocalCalls.call` has made.
  ///
  /// - Parameters:
  ///   - caller: the user; nil: the node has no users.
  ///   - begin: called on the event loop. It calls its second argument once, there.
  /// - Throws: the error of `begin`; UNAUTHENTICATED if the credential is no longer valid;
  ///   UNAVAILABLE if the node has ended, before or meanwhile; CANCELLED.
  package func perform<Output: Sendable>(
    as caller: KnownCredential?,
    _ begin:
      @escaping @Sendable (
        LocalCalls, @escaping (Result<Output, CallError>) -> Void
      ) -> Void
  ) async throws(CallError) -> Output {
    let inProgress = NIOLoopBoundBox.makeBoxSendingValue(CallsInProgress(), eventLoop: eventLoop)
    let outcome: Result<Output, CallError>? = await withTaskCancellationHandler {
      await loops.perform(on: eventLoop) { tell in
        if inProgress.value.areCancelled { return tell(.failure(.cancelled)) }
        let (dispatcher, users) = entrance()
        var principal: Principal?
        if let users {
          guard let found = caller.flatMap(users.principal(of:)) else {
            return tell(.failure(.unauthenticatedAnymore))
          }
          principal = found
        }
        inProgress.value.tellEnd = { tell(.failure(.cancelled)) }
        begin(LocalCalls(dispatcher, eventLoop, principal, inProgress)) {
          inProgress.value = CallsInProgress()
          tell($0)
        }
      }
    } onCancel: {
      loops.execute(on: eventLoop) { CallsInProgress.cancel(inProgress) }
    }
    guard let outcome else { throw CallError(code: .unavailable, message: "The node has ended.") }
    return try outcome.get()
  }
}

/// The calls to cancel when the client is gone. Event loop of the node.
private struct CallsInProgress {
  var areCancelled = false
  var calls: [(dispatcher: any LocalDispatcher, call: LocalCall)] = []
  var tellEnd: (() -> Void)?

  static func cancel(_ box: NIOLoopBoundBox<CallsInProgress>) {
    let inProgress = box.value
    box.value = CallsInProgress(areCancelled: true)
    for (dispatcher, call) in inProgress.calls { dispatcher.cancel(call) }
    inProgress.tellEnd?()
  }
}

/// The calls of one `perform`. Event loop of the node.
package struct LocalCalls {
  package let dispatcher: any LocalDispatcher
  package let eventLoop: any EventLoop
  private let principal: Principal?
  private let inProgress: NIOLoopBoundBox<CallsInProgress>

  fileprivate init(
    _ dispatcher: any LocalDispatcher, _ eventLoop: any EventLoop, _ principal: Principal?,
    _ inProgress: NIOLoopBoundBox<CallsInProgress>
  ) {
    self.inProgress = inProgress
    self.dispatcher = dispatcher
    self.eventLoop = eventLoop
    self.principal = principal
  }

  /// Makes a call of many parts, which is cancelled with the task of `perform`.
  package func call(
    _ command: Command, request: ByteBuffer, _ context: CallContext, reply: @escaping LocalReply
  ) {
    let call = dispatcher.call(command, request: request, context, for: nil, reply: reply)
    if let call { inProgress.value.calls.append((dispatcher, call)) }
  }

  /// The context of calls.
  ///
  /// - Parameter deadlineNanos: their deadline, on the clock of NIODeadline.
  package func context(deadlineNanos: UInt64) -> CallContext {
    CallContext(principal, deadlineNanos: deadlineNanos)
  }
}

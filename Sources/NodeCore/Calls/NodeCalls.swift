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

  /// Makes calls, and waits for their results.
  ///
  /// - Parameters:
  ///   - caller: the user; nil: the node has no users.
  ///   - begin: called on the event loop. It calls its second argument once, there.
  /// - Throws: what `begin` tells; UNAUTHENTICATED where the credential is none any more;
  ///   UNAVAILABLE where the node has ended, before or meanwhile.
  package func perform<Answer: Sendable>(
    as caller: KnownCredential?,
    _ begin:
      @escaping @Sendable (
        LocalCalls, @escaping (Result<Answer, CallError>) -> Void
      ) -> Void
  ) async throws(CallError) -> Answer {
    let outcome: Result<Answer, CallError>? = await loops.perform(on: eventLoop) { tell in
      let (dispatcher, users) = entrance()
      var principal: Principal?
      if let users {
        guard let found = caller.flatMap(users.principal(of:)) else {
          return tell(.failure(.unauthenticatedAnymore))
        }
        principal = found
      }
      begin(LocalCalls(dispatcher, eventLoop, principal), tell)
    }
    guard let outcome else { throw CallError(code: .unavailable, message: "The node has ended.") }
    return try outcome.get()
  }
}

/// The calls of one `perform`. Event loop of the node.
package struct LocalCalls {
  package let dispatcher: any LocalDispatcher
  package let eventLoop: any EventLoop
  private let principal: Principal?

  fileprivate init(
    _ dispatcher: any LocalDispatcher, _ eventLoop: any EventLoop, _ principal: Principal?
  ) {
    self.dispatcher = dispatcher
    self.eventLoop = eventLoop
    self.principal = principal
  }

  /// The context of calls.
  ///
  /// - Parameter deadlineNanos: their deadline, on the clock of NIODeadline.
  package func context(deadlineNanos: UInt64) -> CallContext {
    CallContext(principal, deadlineNanos: deadlineNanos)
  }
}

// Calls for a client outside of the node's event loops, which may disconnect.

import Commands
import NIOCore
import NIOPosix
import NodeCore
import RingstoreAPI
import Testing

/// Never replies, and notes whether calls are cancelled. Event loop of the node.
private final class Deaf: LocalDispatcher {
  let limits = Limits()
  let begun: EventLoopPromise<Void>
  let cancelled: EventLoopPromise<Void>

  init(_ eventLoop: any EventLoop) {
    begun = eventLoop.makePromise()
    cancelled = eventLoop.makePromise()
  }

  func call(
    _ call: any KeyedCall, _ context: CallContext, for caller: (any LocalCaller)?,
    reply: @escaping LocalReply
  ) -> LocalCall? { nil }

  func call(
    _ command: Command, request: ByteBuffer, _ context: CallContext,
    for caller: (any LocalCaller)?, reply: @escaping LocalReply
  ) -> LocalCall? {
    begun.succeed()
    return LocalCall(command, for: caller, reply: reply)
  }

  func cancel(_ call: LocalCall) { cancelled.succeed() }
  func endWait(_ call: LocalCall) {}
  func countError(_ error: CallError) {}
  func callerTakesMore(_ call: LocalCall) {}
}

@Suite(.timeLimit(.minutes(15))) struct NodeCallsTests {
  @Test func aSearchIsCancelledWithItsTask() async throws {
    let loop = MultiThreadedEventLoopGroup.singleton.next()
    let deaf = NIOLoopBoundBox.makeBoxSendingValue(Deaf(loop), eventLoop: loop)
    let (begun, cancelled) = try await loop.submit {
      (deaf.value.begun.futureResult, deaf.value.cancelled.futureResult)
    }.get()
    let calls = NodeCalls(on: loop, of: NodeLoops()) { (deaf.value, nil) }
    let task = Task { () async -> End in
      do throws(CallError) {
        let _: Int = try await calls.perform(as: nil) { calls, tell in
          calls.call(.keys, request: ByteBuffer(), calls.context(deadlineNanos: .max)) { _ in
            tell(.success(1))
          }
        }
        return .keys
      } catch {
        return .failed(error.code == .cancelled)
      }
    }
    try await begun.get()
    task.cancel()
    try await cancelled.get()
    #expect(await task.value == .failed(true))
  }

  private enum End: Equatable {
    case keys
    case failed(Bool)
  }
}

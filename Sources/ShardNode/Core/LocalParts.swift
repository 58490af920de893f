// A shard's own fan-outs: the parts of a many-key or every-shard call that a client made to the
// shard itself. They run on this shard, in turns; each operation has its own.
//
// Lives on the shard's event loop.

import Commands
import LargeMemory
import NIOCore
import NodeCore
import RingstoreAPI

package final class LocalParts: PartPort {
  package var limits: Limits { core.limits }
  package var shardIDs: [String] { [core.id] }
  package let servesCluster = false
  /// A shard's counters are its part's answer.
  package let nodeCounters: [String: Int64] = [:]

  package let answerMemory: AnswerMemory
  private unowned let core: ShardCore
  private var operations: [UInt64: LocalOperation] = [:]
  private var nextHandle: UInt64 = 1

  package init(core: ShardCore) {
    self.core = core
    answerMemory = AnswerMemory(bytesMax: core.limits.answerBytesMax)
  }

  /// Begins an operation. Its end may come from inside this call, or in a later turn of the core. Its
  /// parts are executed in the call's context.
  package func start(
    _ operation: any FanoutOperation, for reply: ReplyHandle, _ context: CallContext
  ) {
    let handle = nextHandle
    nextHandle += 1
    operation.handle = handle
    let running = LocalOperation(operation, for: reply, context, port: self, core: core)
    operations[handle] = running
    reply.worked(by: running)
    if account(operation) { operation.start(on: self) }
  }

  /// Counts what an operation holds now, or ends it where that is too much. Returns whether it goes
  /// on.
  @discardableResult
  func account(_ operation: any FanoutOperation) -> Bool {
    guard let running = operations[operation.handle] else { return false }
    let held = operation.heldBytes
    guard answerMemory.change(from: running.heldBytes, to: held) else {
      core.counters.failed()
      finish(operation, error: .answersHoldTooMuch(limits))
      return false
    }
    running.heldBytes = held
    return true
  }

  // MARK: - What operations ask

  package func endNode() { core.shutdownRequested = true }

  package func owner(of key: UnsafeRawBufferPointer) -> Int { 0 }

  package func send(
    _ part: Part, request: UnsafeRawBufferPointer, in block: LargeBlock?
  ) {
    operations[part.operation.handle]?.append(
      part, OwnedBytes(request, in: block) ?? OwnedBytes(copying: request))
  }

  package func emit(_ operation: any FanoutOperation, message: ByteBuffer) {
    operations[operation.handle]?.emit(message)
  }

  package func isWritable(_ operation: any FanoutOperation) -> Bool {
    operations[operation.handle]?.isWritable ?? false
  }

  package func finishStream(_ operation: any FanoutOperation) {
    finish(operation) { $0.finish(after: $1) }
  }

  package func finish(_ operation: any FanoutOperation, response: ByteBuffer) {
    finish(operation) { $0.answer(response, after: $1) }
  }

  package func finish(_ operation: any FanoutOperation, error: CallError) {
    finish(operation) { $0.fail(error, after: $1) }
  }

  /// Lets go of an operation: what has not been executed of it will not be.
  func release(_ operation: any FanoutOperation) {
    let ended = operations.removeValue(forKey: operation.handle)
    _ = answerMemory.change(from: ended?.heldBytes ?? 0, to: 0)
  }

  /// Ends an operation; `tell` tells its caller.
  private func finish(
    _ operation: any FanoutOperation, _ tell: (ReplyHandle, ReplyMark) -> Void
  ) {
    guard let running = operations[operation.handle] else { return }
    let (reply, mark) = (running.reply, running.mark)
    running.drop()
    if let reply { tell(reply, mark) }
  }
}

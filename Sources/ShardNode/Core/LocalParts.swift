// A shard's own fan-outs: the parts of a many-key or every-shard call that a client made to the
// shard itself. They run on this shard, in turns; each operation has its own.
//
// Lives on the shard's event loop.

import LargeMemory
import NIOCore
import NodeCore
import RingstoreAPI

/// A client's call that is carried out as an operation. Exactly one of `finishStream`, `finish` and
/// `fail` ends it.
package protocol FanoutCaller: AnyObject {
  /// One message of a streamed reply.
  func emit(_ message: ByteBuffer)
  /// Whether the client takes more messages; `LocalParts.callerWritable` is to be called once it
  /// does again.
  var isWritable: Bool { get }
  func finishStream()
  func finish(_ response: ByteBuffer)
  func fail(_ error: CallError)
}

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

  /// Begins an operation. Its end may come from inside this call, or in a later turn of the core.
  /// Returns the operation's handle; 0 where it has ended.
  package func start(_ operation: any FanoutOperation, for caller: any FanoutCaller) -> UInt64 {
    let handle = nextHandle
    nextHandle += 1
    operation.handle = handle
    operations[handle] = LocalOperation(operation, for: caller, port: self, core: core)
    if account(operation) { operation.start(on: self) }
    return operations[handle] == nil ? 0 : handle
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

  /// The caller went away: what has not been executed of the operation will not be.
  package func cancel(_ handle: UInt64) {
    release(handle)?.end()
  }

  /// The caller of a streamed reply takes more messages again.
  package func callerWritable(_ handle: UInt64) {
    operations[handle]?.operation?.callerWritable(on: self)
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
    operations[operation.handle]?.caller?.emit(message)
  }

  package func isWritable(_ operation: any FanoutOperation) -> Bool {
    operations[operation.handle]?.caller?.isWritable ?? false
  }

  package func finishStream(_ operation: any FanoutOperation) {
    end(operation)?.finishStream()
  }

  package func finish(_ operation: any FanoutOperation, response: ByteBuffer) {
    end(operation)?.finish(response)
  }

  package func finish(_ operation: any FanoutOperation, error: CallError) {
    end(operation)?.fail(error)
  }

  private func release(_ handle: UInt64) -> LocalOperation? {
    let ended = operations.removeValue(forKey: handle)
    _ = answerMemory.change(from: ended?.heldBytes ?? 0, to: 0)
    return ended
  }

  private func end(_ operation: any FanoutOperation) -> (any FanoutCaller)? {
    let ended = release(operation.handle)
    let caller = ended?.caller
    ended?.end()
    return caller
  }
}

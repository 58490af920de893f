// The one answer to "may this call run now", given before anything is executed, whichever way the
// call has come. What a node can't do for a while (loading, a full disk or memory, a log that stands)
// and who may call will be asked here as well.
//
// A shard that drains goes on answering: its routers and clients are told to come no more, and what
// still comes over their connections has been on its way.

import Commands
import NodeCore
import RingstoreAPI

extension ShardCore {
  /// - Throws: DEADLINE_EXCEEDED, SHARD_UNAVAILABLE for a call that was held on its way, OVERLOADED for
  ///   a write whose reply could not be held. Nothing has been executed.
  @inline(__always)
  func admit(_ method: UInt32, _ context: CallContext) throws(CallError) {
    if context.isInTime, marks == nil { return }
    try admitWithCare(method, context)
  }

  @inline(never)
  private func admitWithCare(_ method: UInt32, _ context: CallContext) throws(CallError) {
    if context.staleNanos > 0, context.nowNanos >= context.staleNanos { throw .tooLate(id) }
    if !context.isInTime { throw .deadlineExceeded }
    if gate.isFull, SubRequest.isWrite(method: method) { throw .heldTooMuch(limits) }
  }
}

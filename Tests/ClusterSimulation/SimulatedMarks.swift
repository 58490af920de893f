// What replies wait for on a simulated shard whose changes are committed late: in batches, one
// after another, as a log would.
//
// Owned by its shard's incarnation. One thread.

import NodeCore
import RingstoreAPI
import ShardNode
import Store

final class SimulatedMarks: MarkSource {
  /// The batch that gathers changes.
  private var batch: UInt64 = 1
  private var isEmpty = true
  private var changed: [[UInt8]: UInt64] = [:]

  func mark(of key: MarkedKey, after method: UInt32) -> ReplyMark {
    let name = Array(key.key)
    if SubRequest.isWrite(method: method) {
      changed[name] = batch
      isEmpty = false
    }
    return ReplyMark(changed[name] ?? 0)
  }

  var latest: ReplyMark { ReplyMark(isEmpty ? batch - 1 : batch) }

  /// Ends the batch, if anything is in it. Returns it.
  func takeBatch() -> ReplyMark? {
    guard !isEmpty else { return nil }
    isEmpty = true
    batch += 1
    return ReplyMark(batch - 1)
  }
}

// Marks by hand: what is written belongs to a batch that is committed when a test says so.

import NIOCore
import NodeCore
import RingstoreAPI
import Store

@testable import ShardNode

final class HandMarks: MarkSource {
  private(set) var batch: UInt64 = 1
  /// The batch in which each key was changed last.
  private var changed: [[UInt8]: UInt64] = [:]
  private let gate: ReplyGate
  /// What each call was given, in the order of their execution.
  private(set) var given: [ReplyMark] = []
  /// Called when a call was executed.
  var whenExecuted: (() -> Void)?

  init(_ gate: ReplyGate) {
    self.gate = gate
  }

  func mark(of key: MarkedKey, after method: UInt32) -> ReplyMark {
    if SubRequest.isWrite(method: method) { changed[Array(key.key)] = batch }
    let mark = ReplyMark(changed[Array(key.key)] ?? 0)
    given.append(mark)
    whenExecuted?()
    return mark
  }

  var latest: ReplyMark { ReplyMark(changed.values.max() ?? 0) }

  /// What is written from now on belongs to a new batch.
  func nextBatch() { batch += 1 }

  /// All batches up to one are committed; nil: all that there are.
  func commit(_ number: UInt64? = nil) {
    let number = number ?? batch
    if number == batch { batch += 1 }
    gate.open(to: ReplyMark(number))
  }
}

extension ShardFixture {
  /// From now on replies wait.
  func holding() -> HandMarks {
    let marks = HandMarks(core.gate)
    core.marks = marks
    return marks
  }
}

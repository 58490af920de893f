// What a recovery reads, into the shard's store: hands batches of the files to the machine that
// merges a pass with the log. One thread.

import Log
import LogFiles
import Store

final class ReplaySink: LogSink {
  /// The newest of what the log tells of the shard's state.
  private(set) var slotMap: [UInt8]?
  private(set) var versionCeiling: UInt64 = 0
  private var merge: LogMerge!
  private var wish: LogMerge.Wish

  /// - Parameter pass: where the pass begins that is read first; nil: there is none.
  init(into store: Store, pass: LogPosition?) {
    wish = pass == nil ? .log : .pass
    merge = LogMerge(
      into: StoreReplay(into: store) { [unowned self] in adopt($0) }, passBegin: pass)
  }

  private func adopt(_ state: StateRecord) {
    switch state {
    case .slotMap(let bytes): slotMap = bytes
    case .versionCeiling(let ceiling): versionCeiling = max(versionCeiling, ceiling)
    case .slotState, .newLife: break
    }
  }

  var wantsPass: Bool { wish == .pass }

  func takeLog(_ batch: Batch) throws(LogSinkFailure) -> Bool {
    guard wish != .pass else { return false }
    try replay { () throws(ReplayFault) in try merge.giveLog(batch) }
    return true
  }

  func takePass(_ batch: Batch) throws(LogSinkFailure) {
    try replay { () throws(ReplayFault) in merge.givePass(batch) }
  }

  func logEnded(at end: LogPosition) throws(LogSinkFailure) {
    try replay { () throws(ReplayFault) in merge.logEnded() }
  }

  /// Gives the machine something, and runs it until it wants more.
  private func replay(_ give: () throws(ReplayFault) -> Void) throws(LogSinkFailure) {
    do throws(ReplayFault) {
      try give()
      repeat { wish = try merge.advance(work: .max) } while wish == .turn
    } catch {
      throw LogSinkFailure(position: error.position, sentence: error.description)
    }
  }
}

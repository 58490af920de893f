// Passes of a shard's log: when one begins, and its images, taken in turns of the loop. LogFiles
// writes the files, and decides which may be removed afterwards.
//
//   idle --enough has been written, or the disk is full--> making --its end is written--> ending
//     ^                                                       |                             |
//     +-------------------- complete, or given up (full disk) +-----------------------------+
//
// Passes have numbers, from 1 at each start of the process. `ask` returns the number of a pass that
// ends after everything that has happened before.
//
// Belongs to one shard's log; its event loop.

import Commands
import Log
import LogFiles
import NodeCore
import Store

/// Measures the duration of a pass's turn.
package struct PassTurns: Sendable {
  /// A turn takes images for about this time.
  package var turnNanos: UInt64 = 250_000
  /// Keys, and bytes that are copied, between two looks at the clock.
  package var keysPerLook = 64
  package var bytesPerLook = 64 << 10

  package init() {}
}

final class ShardPasses: CooperativeTask {
  /// Bytes that may wait for the disk. What they pin stays in memory meanwhile.
  private static let bytesQueuedMax = 2 << 20
  /// When a pass that is ahead of its pace is looked at again.
  static let pauseNanos: UInt64 = 20_000_000

  private enum Phase {
    case idle
    case making(PassMaker, PassPace)
    case ending(PassPace)
  }

  /// The state of a pass besides its images.
  private struct PassPace {
    let begunNanos: UInt64
    let logBegin: LogPosition
    let storeUsed: Int
    /// It runs as fast as the disk allows.
    var isUrgent: Bool
    var bytes = 0
    var keys = 0
  }

  var isQueued = false
  private let store: Store
  private let output: any LogOutput
  private let clock: () -> UInt64
  /// The log's end, between groups.
  private let position: () -> LogPosition
  var turns = PassTurns()
  /// What a pass begins with.
  var states: () -> [StateRecord] = { [] }
  private var phase = Phase.idle
  /// Of the newest pass that was begun.
  private(set) var number: UInt64 = 0
  /// Whether another pass was requested while one was ending.
  private var isWanted = false
  /// Called when a pass has ended, with its number: all earlier ones have ended too.
  var whenEnded: (_ number: UInt64, _ isComplete: Bool) -> Void = { _, _ in }
  private var live = LiveBytes()
  /// Where the newest complete pass begins; nil: there is none.
  private var newest: LogPosition?
  /// Bytes of the newest complete pass, and how long it took; 0 if this process has made none.
  private var passBytes = 0
  private(set) var newestNanos: UInt64 = 0
  /// Passes since the start, and when the last one was completed, on the loop's clock.
  private(set) var completedCount: UInt64 = 0
  private(set) var abandonedCount: UInt64 = 0
  private var completedNanos: UInt64?
  private var isDiskFull = false
  /// After an abandoned pass, when the next may begin automatically.
  private var pausedUntilNanos: UInt64 = 0
  private static let pauseAfterAbandonNanos: UInt64 = 5_000_000_000
  /// Since when the limit of bytes on disk is reached.
  private var atBoundNanos: UInt64?
  /// For so long writers continue beyond it, while the pass hurries.
  private static let boundNanos: UInt64 = 1_000_000_000
  /// Called when there is work for a turn.
  var wantsTurn: () -> Void = {}
  /// When a pass that is ahead of its pace continues, on the loop's clock; nil: it doesn't wait.
  private(set) var dueNanos: UInt64?

  init(
    of store: Store, to output: any LogOutput, newest: LogPosition?, clock: @escaping () -> UInt64,
    position: @escaping () -> LogPosition
  ) {
    self.store = store
    self.output = output
    self.newest = newest
    self.clock = clock
    self.position = position
  }

  var newestBytes: Int { passBytes }

  private var logBytes: Int { Int(clamping: position() - (newest ?? 0)) }

  private var pacing: PassPacing {
    PassPacing(
      live: live.guess(storeUsed: store.usedBytes), pass: passBytes, log: logBytes)
  }

  /// Whether writers must wait until the current pass is complete: the bytes on disk have reached
  /// their limit, and since then the pass has run for a while as fast as the disk allows.
  var holdsWriters: Bool {
    let bytes: Int
    switch phase {
    case .idle: return false
    case .making(_, let pace), .ending(let pace): bytes = pace.bytes
    }
    guard pacing.writersWait(taken: bytes) else {
      atBoundNanos = nil
      return false
    }
    guard let since = atBoundNanos else {
      atBoundNanos = clock()
      hurry()
      return false
    }
    return clock() - since > Self.boundNanos
  }

  /// The current pass runs as fast as the disk allows.
  private func hurry() {
    guard case .making(let maker, var pace) = phase, !pace.isUrgent else { return }
    pace.isUrgent = true
    phase = .making(maker, pace)
    wantsTurn()
  }

  /// Checks whether a pass must begin. Call it while the log grows, and when the disk is full;
  /// O(1).
  func look(isDiskFull: Bool) {
    self.isDiskFull = isDiskFull
    guard case .idle = phase else { return }
    guard clock() >= pausedUntilNanos else {
      if isDiskFull { dueNanos = pausedUntilNanos }
      return
    }
    let pacing = pacing
    // A pass frees space on a full disk, as long as there is enough left for the pass.
    if pacing.begins || isDiskFull && pacing.freesRoom { begin(urgently: isDiskFull) }
  }

  private func begin(urgently: Bool) {
    let begin = position()
    number += 1
    output.keepFree(pacing.bytesNeeded)
    output.beginPass(at: begin)
    phase = .making(
      PassMaker(of: store, begin: begin, state: states()),
      PassPace(
        begunNanos: clock(), logBegin: begin, storeUsed: store.usedBytes, isUrgent: urgently))
    wantsTurn()
  }

  // MARK: - Turns

  func runSlice() -> Turn {
    dueNanos = nil
    guard case .making(let maker, var pace) = phase else {
      look(isDiskFull: isDiskFull)
      return .unused
    }
    let begunNanos = clock()
    defer {
      if case .making = phase { phase = .making(maker, pace) }
    }
    repeat {
      guard output.passBytesQueued < Self.bytesQueuedMax else { return .used }
      if isAhead(pace) {
        dueNanos = begunNanos + Self.pauseNanos
        return .used
      }
      switch maker.take(
        asOf: position(), keys: turns.keysPerLook, bytes: turns.bytesPerLook)
      {
      case .more: continue
      case .chunkIsFull: handOn(maker, &pace)
      case .allTaken:
        handOn(maker, &pace)
        // The end is a separate chunk.
        if !maker.isDone { handOn(maker, &pace) }
        output.endPass(lastAsOf: maker.lastAsOf)
        phase = .ending(pace)
        return .used
      }
    } while clock() - begunNanos < turns.turnNanos
    // The images belong to the log's current position.
    handOn(maker, &pace)
    return .more
  }

  private func handOn(_ maker: PassMaker, _ pace: inout PassPace) {
    guard let chunk = maker.takeChunk() else { return }
    pace.bytes += chunk.byteCount
    pace.keys = maker.keyCount
    output.writePass(chunk)
  }

  private func isAhead(_ pace: PassPace) -> Bool {
    if pace.isUrgent { return false }
    let growth = Int(clamping: position() - pace.logBegin)
    return pace.bytes
      > PassPacing.bytesAllowed(logGrowth: growth, nanos: clock() - pace.begunNanos)
  }

  // MARK: - Events of the disk

  func written(_ chunk: any PassBytes) {
    (chunk as? PassChunk)?.release()
    if case .making = phase, dueNanos == nil { wantsTurn() }
  }

  func completed(_ begin: LogPosition) {
    guard case .ending(let pace) = phase else { return }
    newest = begin
    live.passEnded(bytes: pace.bytes, storeUsed: pace.storeUsed)
    passBytes = pace.bytes
    let now = clock()
    newestNanos = now - pace.begunNanos
    completedNanos = now
    completedCount += 1
    output.keepFree(pacing.bytesNeeded)
    ended()
    whenEnded(number, true)
    if isWanted {
      isWanted = false
      self.begin(urgently: true)
    }
  }

  /// The disk is full, or the log is being closed.
  func abandoned() {
    abandonedCount += 1
    pausedUntilNanos = clock() + Self.pauseAfterAbandonNanos
    ended()
    if isWanted {
      // The next one would fare no better.
      isWanted = false
      number += 1
    }
    whenEnded(number, false)
    look(isDiskFull: isDiskFull)
  }

  private func ended() {
    phase = .idle
    atBoundNanos = nil
  }

  // MARK: - Requested passes

  /// Starts a pass at once, as fast as the disk allows. A current pass is used, as long as it still
  /// takes images: it ends after everything that has happened before this call, and it counts only
  /// when the log is synced up to there. A pass that only waits for the disk is not used: another
  /// follows it.
  ///
  /// - Returns: the number of the pass, for `whenEnded`.
  func ask() -> UInt64 {
    switch phase {
    case .idle:
      begin(urgently: true)
      return number
    case .making:
      hurry()
      return number
    case .ending:
      isWanted = true
      return number + 1
    }
  }

  /// How long ago the last pass was completed; nil: there was none since the start.
  var nanosSinceCompleted: UInt64? { completedNanos.map { clock() &- $0 } }

  /// The progress of the current pass; nil if there is none.
  var progress: (keys: Int, bytes: Int, nanos: UInt64)? {
    switch phase {
    case .idle: nil
    case .making(_, let pace), .ending(let pace):
      (pace.keys, max(0, pace.bytes - output.passBytesQueued), clock() - pace.begunNanos)
    }
  }
}

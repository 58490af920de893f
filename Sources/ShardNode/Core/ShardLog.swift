// The log's interface for a shard's loop: takes the store's effects, passes them on in batches, and
// opens the gate when they are committed. LogFiles writes and syncs them.
//
//   store --effect--> appender --batch, at the end of a tick--> output (writes, syncs)
//                        |                                        |
//                     KeyMarks                                  events
//                        |                                        v
//   a reply asks: which batch? --> gate <-- committed up to batch n
//
// Committed means written under `everysec` and `never`, because the operating system then has it
// and a crash of this process loses nothing; under `always` it means synced. State (the slot map,
// the ceiling of versions) is synced before it takes effect, under every policy.
//
// There are two paths to the disk. Direct, under `everysec` and `never`: the loop itself writes at
// the end of a tick, before any connection writes (`onFirstChange`), so that no reply must be held
// and no key marked. Queued: threads write, and replies wait at the gate. This path is used under
// `always`, and when a write may take longer than one into the page cache: while a sync is in
// progress, at the end of a segment, on a full disk, and for a while after a write was slow.
//
// Belongs to one shard's core; its event loop.

import Log
import LogFiles
import MetricTypes
import NodeCore
import RingstoreAPI
import Store

package final class ShardLog: StoreObserver, MarkSource {
  private struct BatchUnderWay {
    let number: UInt64
    let byteCount: Int
    let givenNanos: UInt64
  }

  /// The maximum number of batches in flight; further changes are collected into one batch.
  private static let batchesUnderWayMax = 16
  /// A batch of this size is passed on even if more are in flight.
  private static let batchBytes = 256 << 10
  /// Bytes that may wait for the disk; past it writes are refused.
  static let queuedBytesMax = 64 << 20
  /// If a change isn't committed for this time, or under `everysec` not synced, the disk counts as
  /// stalled, and writes are refused.
  static let stallNanos: UInt64 = 5_000_000_000
  /// The duration of a slow direct write, and the time without direct writes after one.
  static let slowNanos: UInt64 = 20_000_000
  static let slowPauseNanos: UInt64 = 5_000_000_000

  private let appender: LogAppender
  private let output: any LogOutput
  private let commits: FsyncPolicy
  private let gate: ReplyGate
  private let clock: () -> UInt64
  private var marks = KeyMarks()
  /// Batches that were handed on, and when; until they are committed. Oldest first.
  private var underWay: [BatchUnderWay] = []
  private(set) var bytesUnderWay = 0
  /// Since when there are changes that may not be synced; nil: there are none.
  private var unsyncedSinceNanos: UInt64?
  /// Whether the loop itself writes. Changes between ticks only.
  package private(set) var isDirect = false
  /// Until when it doesn't, because a write was slow.
  private var queuesUntilNanos: UInt64 = 0
  /// Whether `onFirstChange` was called since the last `handOn`.
  private var isHandOnDue = false
  /// Output of this loop may reveal changes up to this batch, and must not be sent before they are
  /// committed.
  private var heldThrough: UInt64 = 0
  /// The batch of the last state, and how far batches are durable.
  private var statesUpTo: UInt64 = 0
  private var statesDurableUpTo: UInt64 = 0
  private var ceiling: VersionCeiling
  /// The batch of the ceiling.
  private var ceilingUpTo: UInt64 = 0
  /// An assigned version that is not far enough below the ceiling; 0: none.
  private var raisesCeilingAbove: UInt64 = 0
  /// The state that every pass begins with, beside the ceiling.
  private var slotMap: [UInt8]?
  let passes: ShardPasses
  /// What has been counted since the start.
  private(set) var directBatches: UInt64 = 0
  private(set) var queuedBatches: UInt64 = 0
  private(set) var writes = DurationCounts()
  private let beginPosition: LogPosition
  private(set) var isDiskFull = false
  private(set) var hasFailed = false
  /// Whether no write may be executed now.
  private(set) var refusesWrites = false
  /// Called once when nothing can be written any more, with a sentence for the operator.
  package var onFailure: (String) -> Void = { _ in }
  /// Called when the disk has become full, and when it has space again.
  package var onDiskFull: (Bool) -> Void = { _ in }
  /// Called when writes begin to be refused because the disk doesn't keep up, and when they are
  /// taken again.
  package var onStall: (Bool) -> Void = { _ in }
  private var hasToldOfStall = false
  /// Called when all state that was logged is durable.
  package var onStateDurable: () -> Void = {}
  /// Called at the first change after a `handOn`, which must be called at the end of the tick. If
  /// `isDirect`, no connection may write before `onCommitted` is called.
  package var onFirstChange: () -> Void = {}
  /// Called when the changes made while `isDirect` are committed.
  package var onCommitted: () -> Void = {}
  /// Called when `isDirect` or `refusesWrites` has changed.
  package var onWayChange: () -> Void = {}
  /// Called once after `close`.
  package var onClosed: () -> Void = {}

  /// - Parameters:
  ///   - appender: at the end of the log that was recovered.
  ///   - slotMap: the map that was recovered.
  ///   - newestPass: the begin of the recovered pass.
  ///   - clock: the time in nanoseconds, never going back.
  package init(
    _ appender: LogAppender, _ output: any LogOutput, _ policy: FsyncPolicy, of store: Store,
    gate: ReplyGate, ceiling: VersionCeiling, slotMap: [UInt8]? = nil,
    newestPass: LogPosition? = nil, clock: @escaping () -> UInt64
  ) {
    passes = ShardPasses(
      of: store, to: output, newest: newestPass, clock: clock, position: { appender.position })
    self.appender = appender
    beginPosition = appender.position
    self.output = output
    commits = policy
    self.gate = gate
    self.ceiling = ceiling
    self.slotMap = slotMap
    self.clock = clock
    passes.states = { [unowned self] in
      [.versionCeiling(self.ceiling.value)] + (self.slotMap.map { [.slotMap($0)] } ?? [])
    }
  }

  deinit { marks.deallocate() }

  // MARK: - Effects of the store

  package func willApply(_ effect: Effect) {
    appender.willApply(effect)
    if effect.version >= ceiling.raiseFrom { raisesCeilingAbove = effect.version }
    if isDirect { return }
    if case .empty = effect.change {
      marks.emptied(slot: effect.slot, inBatch: appender.openBatch)
    } else {
      marks.changed(hash: effect.hash, inBatch: appender.openBatch)
    }
  }

  package func groupEnded(slot: Int) {
    appender.groupEnded(slot: slot)
    if raisesCeilingAbove > 0 { raiseCeiling(above: raisesCeilingAbove) }
    if !isHandOnDue {
      isHandOnDue = true
      onFirstChange()
    }
  }

  // MARK: - Marks for replies

  package func mark(of key: MarkedKey, after method: UInt32) -> ReplyMark {
    ReplyMark(marks.batch(hash: key.hash, slot: key.slot))
  }

  package var latest: ReplyMark { ReplyMark(appender.lastBatch) }

  // MARK: - Batches

  /// Passes on the collected changes. Call it at the end of each tick with changes. While batches
  /// are in flight changes are collected for the next one: changes that wait for a sync become one
  /// write.
  package func handOn() {
    isHandOnDue = false
    guard !appender.isEmpty, !hasFailed else { return }
    if isDirect {
      writeDirectly()
    } else if underWay.count < Self.batchesUnderWayMax || appender.bytesWaiting >= Self.batchBytes
      || isStatePending
    {
      queue()
    } else {
      return review()
    }
    if unsyncedSinceNanos == nil { unsyncedSinceNanos = clock() }
    if isStatePending { output.sync(upTo: statesUpTo) }
    passes.look(isDiskFull: isDiskFull)
    review()
  }

  private func queue() {
    let now = clock()
    while let batch = appender.takeBatch() {
      note(batch.number, batch.count, givenNanos: now)
      queuedBatches &+= 1
      output.write(batch)
    }
  }

  private func writeDirectly() {
    let begunNanos = clock()
    while let batch = appender.takeBatch() {
      let (number, byteCount) = (batch.number, batch.count)
      // Everything after a queued batch is queued too.
      if output.writeDirectly(batch) {
        appender.recycle(batch)
        directBatches &+= 1
        gate.open(to: ReplyMark(number))
      } else {
        queuedBatches &+= 1
        note(number, byteCount, givenNanos: begunNanos)
        heldThrough = number
      }
    }
    let endNanos = clock()
    writes.add(nanos: endNanos &- begunNanos)
    if endNanos &- begunNanos > Self.slowNanos { queuesUntilNanos = endNanos + Self.slowPauseNanos }
    if underWay.isEmpty { onCommitted() }
  }

  private func note(_ number: UInt64, _ byteCount: Int, givenNanos: UInt64) {
    underWay.append(BatchUnderWay(number: number, byteCount: byteCount, givenNanos: givenNanos))
    bytesUnderWay += byteCount
  }

  /// What has happened at the disk. To be called on the loop after the output's `wake`.
  package func takeEvents() {
    for event in output.takeEvents() {
      switch event {
      case .written(let number, let batches):
        for batch in batches { appender.recycle(batch) }
        if commits != .always { committed(number) }
      case .synced(let number):
        if commits == .always { committed(number) }
        synced(upTo: number)
      case .passWritten(let chunk): passes.written(chunk)
      case .passCompleted(let begin): passes.completed(begin)
      case .passAbandoned: passes.abandoned()
      case .diskFull(let isFull): diskIsFull(isFull)
      case .failed(let failure): failed(failure.sentence)
      case .directoryGone(let path): failed(Self.directoryGone(path))
      case .closed: onClosed()
      }
    }
    handOn()
    review()
  }

  private func committed(_ number: UInt64) {
    while let first = underWay.first, first.number <= number {
      bytesUnderWay -= first.byteCount
      underWay.removeFirst()
    }
    gate.open(to: ReplyMark(number))
    if heldThrough > 0, number >= heldThrough {
      heldThrough = 0
      onCommitted()
    }
  }

  /// Decides the path of changes from now on, and whether changes are allowed. Call it between
  /// ticks, after everything that may affect that.
  private func review() {
    let wasDirect = isDirect
    let didRefuse = refusesWrites
    // All that was changed is committed then, so no mark is missed.
    isDirect =
      !hasFailed && appender.isEmpty && underWay.isEmpty && output.takesDirectWrites
      && clock() >= queuesUntilNanos
    refusesWrites = isDiskFull || hasFailed || isStalled || passes.holdsWriters
    if isDirect != wasDirect || refusesWrites != didRefuse { onWayChange() }
    let isStalled = refusesWrites && !isDiskFull && !hasFailed
    if isStalled != hasToldOfStall {
      hasToldOfStall = isStalled
      onStall(isStalled)
    }
  }

  /// Looks whether the disk stands. To be called now and then: where nothing is written, nothing
  /// else notices. Within a tick with changes the end of the tick does it: these are written as
  /// `isDirect` was when they were made.
  func watch() {
    if !isHandOnDue, awaitsDisk { review() }
  }

  /// Whether there are changes that wait for the disk, so that it would be seen to stand.
  @inline(__always)
  var awaitsDisk: Bool { !underWay.isEmpty || commits == .everysec && unsyncedSinceNanos != nil }

  private func diskIsFull(_ isFull: Bool) {
    guard isFull != isDiskFull else { return }
    isDiskFull = isFull
    onDiskFull(isFull)
    passes.look(isDiskFull: isFull)
  }

  private func failed(_ sentence: String) {
    guard !hasFailed else { return }
    hasFailed = true
    gate.giveUp()
    onFailure(sentence)
  }

  /// Starts a pass at once; see `ShardPasses.ask`.
  package func askForPass() { _ = passes.ask() }

  private static func directoryGone(_ path: String) -> String {
    "The data directory was removed or replaced while the shard was using it: what is written to "
      + "\(path) from now on would not be found again, so the shard exits."
  }

  /// Whether changes have waited for the disk for too long, or too many of them.
  var isStalled: Bool {
    if bytesUnderWay + appender.bytesWaiting > Self.queuedBytesMax { return true }
    let now = clock()
    if let oldest = underWay.first, now &- oldest.givenNanos > Self.stallNanos { return true }
    guard commits == .everysec, let since = unsyncedSinceNanos else { return false }
    return now &- since > Self.stallNanos
  }

  // MARK: - What is counted

  var appendedBytes: UInt64 { appender.position &- beginPosition }
  var bytesWaiting: Int { bytesUnderWay + appender.bytesWaiting }
  /// For how long there have been changes that are not synced.
  var unsyncedNanos: UInt64 { unsyncedSinceNanos.map { clock() &- $0 } ?? 0 }
  var outputMeasures: LogMeasures { output.measures }

  func refusal(_ shard: String) -> CallError {
    if hasFailed { return .shardUnavailable(shard, "it can't write to its disk and exits") }
    if isDiskFull {
      return CallError(
        .diskFull,
        "The disk of shard \(shard) is full\(roomText): nothing was written. Free space; reads still "
          + "work.",
        shard: shard, retryDelayMillis: 1_000)
    }
    return CallError(
      .logStalled, "The disk of shard \(shard) is too slow: nothing was written. Try again.",
      shard: shard, retryDelayMillis: 1_000)
  }

  /// What the disk had left when it was looked at last.
  package var room: DiskRoom? { output.room }

  /// Writes and syncs the rest. Nothing may change any more.
  package func close() {
    queue()
    output.close()
  }

  // MARK: - State

  /// Logs a state of the shard, and has it synced.
  func record(_ state: StateRecord) {
    if case .slotMap(let bytes) = state { slotMap = bytes }
    appender.append(state)
    statesUpTo = appender.lastBatch
    handOn()
  }

  /// Whether a state that was logged isn't durable yet.
  @inline(__always)
  var isStatePending: Bool { statesUpTo > statesDurableUpTo }

  private func synced(upTo number: UInt64) {
    unsyncedSinceNanos = number < appender.lastBatch ? clock() : nil
    let wasPending = isStatePending
    statesDurableUpTo = number
    if wasPending, !isStatePending { onStateDurable() }
  }

  /// A version is near the ceiling, which is raised long before any version reaches it.
  @inline(never)
  private func raiseCeiling(above version: UInt64) {
    raisesCeilingAbove = 0
    guard version >= ceiling.raiseFrom else { return }
    ceiling.raise(above: version)
    appender.append(.versionCeiling(ceiling.value))
    ceilingUpTo = appender.lastBatch
  }

  /// Above every version that was given.
  var versionsBelow: UInt64 { ceiling.value }

  /// Has the ceiling lie above a version that may be far above those that were given.
  ///
  /// - Returns: whether it does so durably. Where not, `onStateDurable` is called when it does.
  func reserves(_ version: UInt64) -> Bool {
    raiseCeiling(above: version)
    guard ceilingUpTo > statesDurableUpTo else { return true }
    statesUpTo = max(statesUpTo, ceilingUpTo)
    handOn()
    return !isStatePending
  }
}

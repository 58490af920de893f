// The disk of a shard's machine, and the shard's real storage over it: loading, log, passes. The
// lanes of the log are events of the simulation; the loop's output is held until the log is written
// where the loop writes it by itself.
//
// Owns the disk for the whole run, and what the process has of it for one incarnation. One thread.

import GRPC
import Log
import LogFiles
import Logging
import NodeCore
import ShardNode
import SimulatedDisk

final class SimulatedStorage: LoopOutput {
  /// What is planned at most once at a time.
  private enum Work: Hashable {
    case flush, news, pass
    case lane(LogFileOutput.Lane, isDue: Bool)
  }

  /// How a process comes to its end.
  enum End {
    /// What it has written stays.
    case kill
    /// What isn't synced may be lost, torn, or there in another order.
    case powerLoss
    /// All is written and synced; the machine may go right after. If the disk fails, it is a kill.
    case clean
  }

  private static let directory = "data"
  private static let flushNanosMax: UInt64 = 50_000
  private static let newsNanosMax: UInt64 = 100_000
  /// What a step of a lane takes at most: a sync may take long.
  private static let stepNanosMax: UInt64 = 8_000_000
  private static let passNanosMax: UInt64 = 400_000_000
  private static let errorNanosMax: UInt64 = 1_000_000
  private static let closingStepsMax = 10_000

  let disk: SimulatedDisk
  let policy: FsyncPolicy
  private let context: SimulationContext
  private unowned let shard: SimulatedShard
  private unowned let cluster: SimulatedCluster
  private var storage: ShardStorage?
  private var output: LogFileOutput?
  private var bell = LaneBell()
  private var planned: Set<Work> = []
  private var first: (any Flushable)?
  private(set) var isHeld = false
  /// What leaves when the log is written, in order.
  private var held: [() -> Void] = []
  private var isClosed = false
  /// The data can't be read or written any more: the process ends with an error.
  private var isBroken = false
  /// The process is killed while its output is held.
  var diesWhenHeld = false
  /// Calls of the disk have been made to fail.
  private var hasFailed = false
  /// Until when the disk is stalled: no call to it returns before.
  private var stalledUntilNanos: UInt64 = 0

  init?(_ shard: SimulatedShard, _ context: SimulationContext, _ cluster: SimulatedCluster) {
    guard context.configuration.keepsData else { return nil }
    self.shard = shard
    self.context = context
    self.cluster = cluster
    let policies = FsyncPolicy.allCases
    policy = policies[context.number(0...policies.count - 1)]
    guard let disk = try? SimulatedDisk.withDirectory(Self.directory, seed: context.random.next())
    else { return nil }
    self.disk = disk
  }

  // MARK: - Life

  /// The process begins: it opens its directory, and loads it in turns.
  func start(_ core: ShardCore) {
    isBroken = false
    do throws(LogRefusal) {
      let directory = try ShardStorage.open(
        Self.directory, cluster: SimulatedCluster.name, shard: shard.id,
        seed: core.limits.hashSeed, over: disk)
      let storage = ShardStorage(directory, core: core, surroundings())
      self.storage = storage
      storage.output = self
      storage.onFailure = { [unowned self] in failed($0) }
      storage.afterStateDurable = { [unowned self] in shard.stateIsDurable() }
      storage.begin()
    } catch {
      core.state = .loading
      failed(error.description)
    }
  }

  private func surroundings() -> StorageSurroundings {
    var random = context.random
    let numbers = LogStartNumbers(
      identity: NewLogIdentity(
        lineage: Lineage(high: random.next() | 1, low: random.next() | 1),
        directory: random.next() | 1),
      life: random.next() | 1)
    context.random = random
    bell = LaneBell()
    var surroundings = StorageSurroundings(
      numbers: numbers, settings: settings(),
      wallMillis: { [unowned self] in shard.wallClock.read() },
      logger: Logger(label: "") { _ in SwiftLogNoOpLogHandler() },
      runLanes: { [unowned self] output in
        self.output = output
        return {}
      },
      waker: { [bell] action in
        bell.action = action
        return { bell.ring() }
      })
    surroundings.loadBytesPerTurn = 1 << context.number(9...13)
    surroundings.loadWorkPerTurn = context.number(1...40)
    surroundings.passTurns.turnNanos = 0
    surroundings.passTurns.keysPerLook = context.number(1...3)
    surroundings.passTurns.bytesPerLook = context.number(1...200)
    return surroundings
  }

  /// Small files, so that segments end and passes are made all the time.
  private func settings() -> LogFileSettings {
    var settings = LogFileSettings(policy: policy)
    settings.sizes = SegmentSizes(first: 8 << 10, largest: 16 << 10, fillStep: 4 << 10)
    settings.syncIntervalNanos = 100_000_000
    settings.watchIntervalNanos = 200_000_000
    settings.retryNanos = 20_000_000
    settings.reserveBytes = 8 << 10
    settings.gatherBytesMax = 4 << 10
    settings.passSyncBytes = 2 << 10
    settings.passStepBytes = 512
    settings.freeBytesMin = 0
    settings.restBytesMax = 512
    return settings
  }

  /// The process is gone.
  func end(_ end: End) {
    if end == .clean { close() }
    (storage, output, first) = (nil, nil, nil)
    bell.action = {}
    planned = []
    (isHeld, held, diesWhenHeld) = (false, [], false)
    switch end {
    // Of a disk that has failed, only `always` says what a power loss leaves.
    case .clean where isClosed && (!isBroken || policy == .always): losePower(.nothingUnsynced)
    case .clean where !disk.isOff, .kill where !disk.isOff: disk.endProcess()
    case .clean, .kill, .powerLoss:
      losePower(PowerLoss.allCases[context.number(0...PowerLoss.allCases.count - 1)])
    }
    if context.configuration.sabotage == .forgetsLastBatch { forgetLastBatch() }
  }

  private func losePower(_ loss: PowerLoss) {
    context.cover(.powerLost)
    disk.restart(after: loss)
  }

  /// Writes and syncs the rest.
  private func close() {
    isClosed = false
    guard let storage, let output, !disk.isOff else { return }
    storage.close { [unowned self] in isClosed = true }
    var now = context.nowNanos
    for _ in 0..<Self.closingStepsMax where !isClosed {
      for lane in LogFileOutput.Lane.allCases {
        now = max(now, min(output.due(lane, now: now) ?? now, now + 1_000_000_000))
        output.perform(lane, now: now)
      }
      if bell.takeRing() { bell.action() }
    }
    if isClosed, !isBroken { context.cover(.closedClean) }
  }

  /// Another process than the one that was killed comes to an end, because of its data.
  private func failed(_ sentence: String) {
    isBroken = true
    if !hasFailed, !disk.isOff {
      context.found(.dataRefused, "shard \(shard.id) can't continue: \(sentence)")
    }
    let incarnation = shard.incarnations
    context.after(context.nanos(upTo: Self.errorNanosMax)) { [unowned self] in
      guard incarnation == shard.incarnations, shard.state != .down else { return }
      cluster.faults.crash(shard)
    }
  }

  // MARK: - Faults

  /// Lets calls fail, or the power go during one.
  func fails(_ fault: DiskFault) {
    if case .error = fault { hasFailed = true }
    disk.setFault(fault, atCall: disk.calls + context.number(1...12))
  }

  func fill(forNanos nanos: UInt64) {
    hasFailed = true
    disk.capacity = disk.usedBytes + context.number(0...6_000)
    context.after(nanos) { [unowned self] in disk.capacity = .max }
  }

  /// Stalls the disk: the lanes wait, and so does the process if it writes by itself. Unlike other
  /// faults of the disk it ends when its time is over.
  func stall(forNanos nanos: UInt64) {
    stalledUntilNanos = max(stalledUntilNanos, context.nowNanos + nanos)
  }

  func faultsEnd() {
    disk.clearFaults()
    disk.capacity = .max
    (hasFailed, diesWhenHeld) = (false, false)
  }

  /// Zeros in place of the last bytes of the newest segment, as if its last batch were torn.
  private func forgetLastBatch() {
    let segments = disk.names(in: Self.directory).filter { $0.hasPrefix("log-") }
    for name in segments.sorted().reversed() {
      let path = Self.directory + "/" + name
      guard var bytes = disk.contents(of: path), let last = bytes.lastIndex(where: { $0 != 0 })
      else { continue }
      for place in max(0, last - 7)...last { bytes[place] = 0 }
      disk.setContents(of: path, to: bytes)
      return
    }
  }

  // MARK: - The loop's output

  func markFirst(_ target: any Flushable) {
    first = target
    planFlush()
  }

  func hold() {
    isHeld = context.configuration.sabotage != .repliesBeforeWrite
    if diesWhenHeld {
      diesWhenHeld = false
      context.cover(.killedWhileHeld)
      die(within: Self.flushNanosMax)
    }
  }

  /// The process is killed, soon or now.
  func die(within nanos: UInt64 = 0) {
    let incarnation = shard.incarnations
    context.after(context.nanos(upTo: nanos)) { [unowned self] in
      guard incarnation == shard.incarnations, shard.state != .down else { return }
      cluster.faults.crash(shard)
    }
  }

  func release() {
    guard isHeld else { return }
    isHeld = false
    let leaving = held
    held = []
    for leave in leaving { leave() }
  }

  /// Something goes out over a connection, now or when the log is written.
  func send(_ leave: @escaping () -> Void) {
    if isHeld {
      context.cover(.heldForWrite)
      held.append(leave)
    } else {
      leave()
    }
  }

  // MARK: - What is planned

  /// To be called after each event of the shard.
  func plan() {
    guard storage != nil, shard.isRunning else { return }
    if disk.isOff { return die() }
    planFlush()
    if bell.hasRung {
      plan(.news, after: context.nanos(upTo: Self.newsNanosMax)) { [unowned self] in
        if bell.takeRing() { bell.action() }
      }
    }
    for lane in LogFileOutput.Lane.allCases { plan(lane) }
    guard cluster.takesCalls, shard.core.log != nil else { return }
    plan(.pass, after: context.nanos(upTo: Self.passNanosMax)) { [unowned self] in
      context.cover(.passMade)
      shard.core.log?.askForPass()
    }
  }

  private func planFlush() {
    guard first != nil, shard.isRunning else { return }
    plan(.flush, after: context.nanos(upTo: Self.flushNanosMax)) { [unowned self] in
      // The loop is about to write by itself: the process waits for the disk, and flushes when it
      // continues.
      if isHeld, stalledUntilNanos > context.nowNanos {
        return cluster.faults.stall(shard, forNanos: stalledUntilNanos - context.nowNanos)
      }
      let target = first
      first = nil
      target?.flushNow()
    }
  }

  private func plan(_ lane: LogFileOutput.Lane) {
    guard let due = output?.due(lane, now: context.nowNanos) else { return }
    let nanos = max(due, context.nowNanos, stalledUntilNanos) - context.nowNanos
    plan(
      .lane(lane, isDue: nanos == 0),
      after: nanos + context.nanosOfAnyScale(upTo: Self.stepNanosMax)
    ) { [unowned self] in
      guard context.nowNanos >= stalledUntilNanos else { return }
      output?.perform(lane, now: context.nowNanos)
    }
  }

  private func plan(
    _ work: Work, after nanos: @autoclosure () -> UInt64, _ action: @escaping () -> Void
  ) {
    guard planned.insert(work).inserted else { return }
    let incarnation = shard.incarnations
    context.after(nanos()) { [unowned self] in
      guard incarnation == shard.incarnations, shard.state != .down else { return }
      planned.remove(work)
      // What a process has left that is stopped comes when it continues.
      guard shard.isRunning else { return }
      action()
      shard.eventHandled()
    }
  }
}

/// Tells that there are events of the log to take.
private final class LaneBell: @unchecked Sendable {
  var action: () -> Void = {}
  private(set) var hasRung = false

  func ring() { hasRung = true }

  func takeRing() -> Bool {
    defer { hasRung = false }
    return hasRung
  }
}

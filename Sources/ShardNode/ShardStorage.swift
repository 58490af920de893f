// A shard's data on disk, from the opening of its directory to the last byte that is written: reads
// it into the core's store, in turns of the loop so that the node goes on answering, then starts
// the log. Until then the core is LOADING.
//
//   open (before the node listens) -> loading, in turns -> expiring what is due -> serving ->
//   closed
//
// On the shard's event loop, but for `open`. What blocks for long has threads of its own
// (LogThreads); a step of the loading reads a MiB.

import GRPC
import Log
import LogFiles
import Logging
import NIOCore
import NodeCore
import Placement
import RingstoreAPI
import Store
import TextForms

/// Where and how a shard keeps its data.
package struct StorageConfiguration: Sendable, Hashable {
  package var directory: String
  package var policy: FsyncPolicy

  package init(directory: String, policy: FsyncPolicy) {
    self.directory = directory
    self.policy = policy
  }
}

final class ShardStorage: CooperativeTask, Flushable {
  /// Keys that are looked at in a turn for being due.
  private static let visitsPerTurn = 2_000

  private enum Phase {
    case opened(LogDirectory)
    case reads(LogRecovery)
    /// What was due while the shard was away is deleted, as far as one round finds it.
    case expires(LogThreads)
    case serves(LogThreads)
    case failed
  }

  var isQueued = false
  var isMarkedDirty = false
  private let core: ShardCore
  private let policy: FsyncPolicy
  private let eventLoop: any EventLoop
  private let logger: Logger
  private let wallMillis: () -> Int64
  private var phase: Phase
  /// The newest of what the log tells of the shard's state.
  private var slotMap: [UInt8]?
  private var versionCeiling: UInt64 = 0
  private let startedNanos: UInt64
  /// The loop's, by which the log is written before the connections are.
  var flusher: FlushCoalescer?
  /// Called after whatever may have given the core work.
  var afterWork: () -> Void = {}
  /// Called once when the data can't be read or written any more.
  var onFailure: (String) -> Void = { _ in }
  private var hasExpired = false
  private var closing: EventLoopPromise<Void>?

  /// Opens, and locks, the data directory of a shard.
  static func open(
    _ storage: StorageConfiguration, cluster: String, shard: String, seed: HashSeed
  ) throws(LogRefusal) -> LogDirectory {
    try LogDirectory.open(
      storage.directory,
      as: LogOwner(cluster: cluster, shard: shard, seedDigest: seed.logDigest),
      over: PosixFiles())
  }

  init(
    _ directory: LogDirectory, _ policy: FsyncPolicy, core: ShardCore, eventLoop: any EventLoop,
    wallMillis: @escaping () -> Int64, logger: Logger
  ) {
    self.core = core
    self.policy = policy
    self.eventLoop = eventLoop
    self.wallMillis = wallMillis
    self.logger = logger
    startedNanos = core.clock()
    phase = .opened(directory)
    core.state = .loading
  }

  /// Begins to load. Goes on in turns.
  func begin() {
    core.turns.enqueue(self)
    afterWork()
  }

  func runSlice() -> Turn {
    do throws(LogRefusal) {
      return try proceed() ? .more : .used
    } catch {
      fail(error.description)
      return .used
    }
  }

  /// - Returns: whether there is more to do.
  private func proceed() throws(LogRefusal) -> Bool {
    switch phase {
    case .opened(let directory):
      let now = wallMillis()
      let recovery = try LogRecovery(
        directory, Self.numbers(), LogFileSettings(policy: policy)
      ) { pass in
        LogMerge(
          into: StoreReplay(into: core.store, usedMillis: now) { [unowned self] in adopt($0) },
          passBegin: pass)
      }
      phase = .reads(recovery)
    case .reads(let recovery):
      if let progress = try recovery.step() {
        core.detail = progress.text
      } else {
        try start(recovery)
      }
    case .expires:
      let progress = core.store.expire(nowMillis: wallMillis(), maxVisits: Self.visitsPerTurn)
      guard progress.endsRound else { return true }
      hasExpired = true
      serveWhenDurable()
      return false
    case .serves, .failed: return false
    }
    return true
  }

  private func adopt(_ state: StateRecord) {
    switch state {
    case .slotMap(let bytes): slotMap = bytes
    case .versionCeiling(let ceiling): versionCeiling = max(versionCeiling, ceiling)
    case .slotState, .newLife: break
    }
  }

  private static func numbers() -> LogStartNumbers {
    LogStartNumbers(
      identity: NewLogIdentity(
        lineage: Lineage(high: .random(in: 1 ... .max), low: .random(in: 1 ... .max)),
        directory: .random(in: 1 ... .max)),
      life: .random(in: 1 ... .max))
  }

  /// All is read: changes are logged from now on.
  private func start(_ recovery: LogRecovery) throws(LogRefusal) {
    let (begin, ceiling) = VersionCeiling.start(
      recovered: versionCeiling, unixMillis: wallMillis())
    core.store.raiseVersions(to: begin)
    if let (map, lineages) = slotMap.flatMap({ try? SlotMapMessage.decode($0) }) {
      core.keyspace.ownership.restore(map)
      core.lineages = lineages
    }
    if let cut = recovery.cut { logger.warning("\(cut)") }
    let start = try recovery.begin()
    let lineage = start.header.lineage
    core.lineage = DataLineage(high: lineage.high, low: lineage.low)
    let bound = NIOLoopBound(self, eventLoop: eventLoop)
    let output = LogFileOutput(start, LogFileSettings(policy: policy)) { [eventLoop] in
      eventLoop.execute { bound.value.takeEvents() }
    }
    let threads: LogThreads
    do {
      threads = try LogThreads(output)
    } catch {
      return fail("no thread could be started for the log (error \(error.code)).")
    }
    let log = ShardLog(
      LogAppender(position: start.position, epoch: start.header.epoch), output, policy,
      of: core.store, gate: core.gate, ceiling: ceiling, slotMap: slotMap,
      newestPass: start.header.newestPass, clock: core.clock)
    log.passes.wantsTurn = { [unowned self] in
      core.turns.enqueue(log.passes)
      afterWork()
    }
    log.onFailure = { [unowned self] in fail($0) }
    log.onStateDurable = { [unowned self] in
      core.stateIsDurable()
      afterStateDurable()
      serveWhenDurable()
    }
    log.onDiskFull = { [unowned self] isFull in
      if isFull {
        logger.error("the disk is full, or nearly: writes are refused until there is room")
      } else {
        logger.notice("the disk has room again: writes go on")
      }
    }
    log.onFirstChange = { [unowned self, unowned log] in
      if log.isDirect { flusher?.hold() }
      flusher?.markFirst(self)
    }
    log.onCommitted = { [unowned self] in flusher?.release() }
    log.onClosed = { [unowned self] in closed() }
    core.log = log
    log.record(.newLife(life: start.header.life, incarnation: core.incarnation))
    log.record(.versionCeiling(ceiling.value))
    phase = .expires(threads)
  }

  /// Called when links may be written to again.
  var afterStateDurable: () -> Void = {}

  /// Versions are given once the ceiling above them is durable.
  private func serveWhenDurable() {
    guard case .expires(let threads) = phase, hasExpired, core.log?.isStatePending == false else {
      return
    }
    phase = .serves(threads)
    core.detail = ""
    if core.state == .loading { core.state = .serving }
    logger.notice(
      "the data is loaded",
      metadata: [
        "keys": "\(core.store.totalKeyCount)",
        "millis": "\((core.clock() - startedNanos) / 1_000_000)", "fsync": "\(policy.rawValue)",
        "lineage": "\(core.lineage?.text ?? "")",
      ])
  }

  /// The end of a tick that has changed something.
  func flushNow() { core.log?.handOn() }

  private func takeEvents() {
    core.log?.takeEvents()
    afterWork()
  }

  private func fail(_ sentence: String) {
    phase = .failed
    logger.critical("\(sentence)")
    onFailure(sentence)
    closing?.succeed()
    closing = nil
  }

  // MARK: - The end

  /// Writes and syncs the rest. The future succeeds when all is closed, or can't be.
  func close() -> EventLoopFuture<Void> {
    let promise = eventLoop.makePromise(of: Void.self)
    switch phase {
    case .serves, .expires:
      closing = promise
      core.log?.close()
    case .opened(let directory):
      directory.close()
      promise.succeed()
    case .reads(let recovery):
      recovery.directory.close()
      promise.succeed()
    case .failed: promise.succeed()
    }
    return promise.futureResult
  }

  private func closed() {
    if case .serves(let threads) = phase { threads.finish() }
    if case .expires(let threads) = phase { threads.finish() }
    phase = .failed
    closing?.succeed()
    closing = nil
  }
}

extension LogProgress {
  /// How far a start is, for people.
  fileprivate var text: String {
    let percent = bytesTotal == 0 ? 100 : bytesDone * 100 / bytesTotal
    let what = phase == .reading ? "read" : "made durable"
    return "\(percent) % of \(bytesTotal >> 20) MiB \(what)"
  }
}

extension DataLineage {
  /// For people: its bytes, as they lie in the heads of files.
  fileprivate var text: String {
    withUnsafeBytes(of: (high.littleEndian, low.littleEndian)) { Hexadecimal.text($0) }
  }
}

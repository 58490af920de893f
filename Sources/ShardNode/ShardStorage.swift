// A shard's data on disk, from the opening of its directory to the last byte that is written: reads
// it into the core's store, in turns of the loop so that the node continues answering, then starts
// the log. Until then the core is LOADING.
//
//   open (before the node listens) -> loading, in turns -> expiring what is due -> serving ->
//   closed
//
// On the shard's event loop, except for `open`. Blocking work is done by the log's lanes, which
// have their own threads (StorageSurroundings); a step of the loading reads a MiB.

import GRPC
import Log
import LogFiles
import Logging
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

package final class ShardStorage: CooperativeTask, Flushable {
  /// Keys checked for expiry in a turn.
  private static let visitsPerTurn = 2_000

  private enum Phase {
    case opened(LogDirectory)
    case reads(LogRecovery)
    /// Keys that expired while the shard was down are deleted, as far as one round finds them.
    /// - Parameter endLanes: stops the log's lanes.
    case expires(endLanes: () -> Void)
    case serves(endLanes: () -> Void)
    case failed
  }

  package var isQueued = false
  package var isMarkedDirty = false
  private let core: ShardCore
  private let surroundings: StorageSurroundings
  private var phase: Phase
  /// The newest state of the shard in the log.
  private var slotMap: [UInt8]?
  private var versionCeiling: UInt64 = 0
  private let startedNanos: UInt64
  /// The loop's, by which the log is written before the connections are.
  package var output: (any LoopOutput)?
  /// Called after everything that may have given the core work.
  package var afterWork: () -> Void = {}
  /// Called once when the data can't be read or written any more.
  package var onFailure: (String) -> Void = { _ in }
  private var hasExpired = false
  private var whenClosed: (() -> Void)?

  /// Opens, and locks, the data directory of a shard.
  package static func open(
    _ directory: String, cluster: String, shard: String, seed: HashSeed,
    over files: any FileSystem = PosixFiles()
  ) throws(LogRefusal) -> LogDirectory {
    try LogDirectory.open(
      directory, as: LogOwner(cluster: cluster, shard: shard, seedDigest: seed.logDigest),
      over: files)
  }

  package init(
    _ directory: LogDirectory, core: ShardCore, _ surroundings: StorageSurroundings
  ) {
    self.core = core
    self.surroundings = surroundings
    startedNanos = core.clock()
    phase = .opened(directory)
    core.state = .loading
  }

  /// Begins to load. Continues in turns.
  package func begin() {
    core.turns.enqueue(self)
    afterWork()
  }

  package func runSlice() -> Turn {
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
      let now = surroundings.wallMillis()
      let recovery = try LogRecovery(
        directory, surroundings.numbers, surroundings.settings,
        stepBytes: surroundings.loadBytesPerTurn, stepWork: surroundings.loadWorkPerTurn
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
      let progress = core.store.expire(
        nowMillis: surroundings.wallMillis(), maxVisits: Self.visitsPerTurn)
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

  /// All is read: changes are logged from now on.
  private func start(_ recovery: LogRecovery) throws(LogRefusal) {
    let (begin, ceiling) = VersionCeiling.start(
      recovered: versionCeiling, unixMillis: surroundings.wallMillis())
    core.store.raiseVersions(to: begin)
    if let (map, lineages) = slotMap.flatMap({ try? SlotMapMessage.decode($0) }) {
      core.keyspace.ownership.restore(map)
      core.lineages = lineages
    }
    if let cut = recovery.cut { surroundings.logger.warning("\(cut)") }
    let start = try recovery.begin()
    let lineage = start.header.lineage
    core.lineage = DataLineage(high: lineage.high, low: lineage.low)
    let output = LogFileOutput(
      start, surroundings.settings, wake: surroundings.waker { [weak self] in self?.takeEvents() })
    let endLanes: () -> Void
    do throws(LogThreads.NoThread) {
      endLanes = try surroundings.runLanes(output)
    } catch {
      return fail("no thread could be started for the log (error \(error.code)).")
    }
    let log = ShardLog(
      LogAppender(position: start.position, epoch: start.header.epoch), output,
      surroundings.settings.policy,
      of: core.store, gate: core.gate, ceiling: ceiling, slotMap: slotMap,
      newestPass: start.header.newestPass, clock: core.clock)
    log.passes.turns = surroundings.passTurns
    follow(log, recovery.directory.path)
    core.log = log
    log.record(.newLife(life: start.header.life, incarnation: core.incarnation))
    log.record(.versionCeiling(ceiling.value))
    phase = .expires(endLanes: endLanes)
  }

  private func follow(_ log: ShardLog, _ directory: String) {
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
    log.tellTrouble(to: surroundings.logger, directory)
    log.onFirstChange = { [unowned self, unowned log] in
      if log.isDirect { output?.hold() }
      output?.markFirst(self)
    }
    log.onCommitted = { [unowned self] in output?.release() }
    log.onClosed = { [unowned self] in closed() }
  }

  /// Called when links may be written to again.
  package var afterStateDurable: () -> Void = {}

  /// Versions are assigned once the ceiling above them is durable.
  private func serveWhenDurable() {
    guard case .expires(let endLanes) = phase, hasExpired, core.log?.isStatePending == false else {
      return
    }
    phase = .serves(endLanes: endLanes)
    core.detail = ""
    core.loaded()
    surroundings.logger.notice(
      "the data is loaded",
      metadata: [
        "keys": "\(core.store.totalKeyCount)",
        "millis": "\((core.clock() - startedNanos) / 1_000_000)",
        "fsync": "\(surroundings.settings.policy.rawValue)",
        "lineage": "\(core.lineage?.text ?? "")",
      ])
  }

  /// The end of a tick with changes.
  package func flushNow() { core.log?.handOn() }

  private func takeEvents() {
    core.log?.takeEvents()
    afterWork()
  }

  private func fail(_ sentence: String) {
    phase = .failed
    surroundings.logger.critical("\(sentence)")
    onFailure(sentence)
    ended()
  }

  // MARK: - The end

  /// Writes and syncs the rest.
  ///
  /// - Parameter done: called once when all is closed, or can't be.
  package func close(_ done: @escaping () -> Void) {
    whenClosed = done
    switch phase {
    case .serves, .expires: core.log?.close()
    case .opened(let directory):
      directory.close()
      ended()
    case .reads(let recovery):
      recovery.directory.close()
      ended()
    case .failed: ended()
    }
  }

  private func closed() {
    switch phase {
    case .serves(let endLanes), .expires(let endLanes): endLanes()
    case .opened, .reads, .failed: break
    }
    phase = .failed
    ended()
  }

  private func ended() {
    let done = whenClosed
    whenClosed = nil
    done?()
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
  /// As text: its bytes, as in the headers of files.
  fileprivate var text: String {
    withUnsafeBytes(of: (high.littleEndian, low.littleEndian)) { Hexadecimal.text($0) }
  }
}

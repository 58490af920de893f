// A shard's data on disk, from the opening of its directory to the last byte that is written: reads
// it into the core's store, in turns of the loop so that the node continues replying, then starts
// the log. Until then the core is LOADING.
//
//   open (before the node listens) -> loading, in turns -> deleting what has expired or exceeds the
//   memory limit -> serving -> closed
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
  private enum Phase {
    case opened(LogDirectory)
    case reads(LogRecovery)
    /// Keys are deleted that the shard must not serve.
    /// - Parameter endLanes: stops the log's lanes.
    case cleans(endLanes: () -> Void)
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
  private var notices: StartNotices
  /// The loop's, by which the log is written before the connections are.
  package var output: (any LoopOutput)?
  /// Called after everything that may have given the core work.
  package var afterWork: () -> Void = {}
  /// Called once when the data can't be read or written any more.
  package var onFailure: (String) -> Void = { _ in }
  private var cleaning = StartCleaning()
  private var isClean = false
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
    notices = StartNotices(surroundings.logger, nowNanos: startedNanos)
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
        tell(progress.text)
      } else {
        try start(recovery)
      }
    case .cleans: return clean()
    case .serves, .failed: return false
    }
    return true
  }

  private func tell(_ progress: String) {
    core.detail = progress
    notices.look(progress, nowNanos: core.clock())
  }

  private func clean() -> Bool {
    guard let log = core.log else { return false }
    tell(core.detail)
    switch cleaning.step(core.store, log, nowMillis: surroundings.wallMillis()) {
    case .more: return true
    // Until `takeEvents`.
    case .waitsForDisk: return false
    case .done:
      isClean = true
      serveWhenDurable()
      return false
    }
  }

  private func adopt(_ state: StateRecord) {
    switch state {
    case .slotMap(let bytes): slotMap = bytes
    case .versionCeiling(let ceiling): versionCeiling = max(versionCeiling, ceiling)
    case .slotState, .newLife, .cleanStop: break
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
    // Nothing was read of a new directory.
    if !core.detail.isEmpty { core.detail += "; \(StartCleaning.text)" }
    phase = .cleans(endLanes: endLanes)
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
    guard case .cleans(let endLanes) = phase, isClean, core.log?.isStatePending == false else {
      return
    }
    phase = .serves(endLanes: endLanes)
    core.detail = ""
    core.loaded()
    var metadata: Logger.Metadata = [
      "keys": "\(core.store.totalKeyCount)",
      "millis": "\((core.clock() - startedNanos) / 1_000_000)",
      "fsync": "\(surroundings.settings.policy.rawValue)",
      "lineage": "\(core.lineage?.text ?? "")",
    ]
    let evicted = core.store.evictedKeyCount
    if evicted > 0 { metadata["evicted"] = "\(evicted)" }
    surroundings.logger.notice("the data is loaded", metadata: metadata)
  }

  /// The end of a tick with changes.
  package func flushNow() { core.log?.handOn() }

  private func takeEvents() {
    core.log?.takeEvents()
    if case .cleans = phase, !isClean { core.turns.enqueue(self) }
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
    case .serves, .cleans: core.log?.close()
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
    case .serves(let endLanes), .cleans(let endLanes): endLanes()
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

extension DataLineage {
  /// As text: its bytes, as in the headers of files.
  fileprivate var text: String {
    withUnsafeBytes(of: (high.littleEndian, low.littleEndian)) { Hexadecimal.text($0) }
  }
}

// A shard with its real storage over a simulated disk. A test starts it as often as it wants, and
// ends it as a process or a machine ends. Ends of ticks, turns of the loop and steps of the log's
// lanes are done one after another, in one thread, and the clock moves only when a test moves it.

import GRPC
import Log
import LogFiles
import NIOConcurrencyHelpers
import NodeCore
import RingstoreAPI
import SimulatedDisk
import Store
import TestLogs
import Testing

@testable import ShardNode

final class StoredShard: LoopOutput {
  private static let directory = "data"

  let disk: SimulatedDisk
  let clock = ManualClock()
  let nodeLog = RecordedLog()
  /// Of the next start.
  var memory = MemoryLimit()
  var loadBytesPerTurn = 1 << 20
  /// Whether the disk does nothing of what is queued for it.
  var isStalled = false
  /// The core of the last start.
  private(set) var shard = ShardFixture()
  /// Why the shard can't continue with its data.
  private(set) var failure: String?
  private let policy: FsyncPolicy
  private var starts: UInt64 = 0
  private var storage: ShardStorage?
  private var output: LogFileOutput?
  private var endOfTick: (any Flushable)?
  /// Whether the lanes have news for the loop, and what takes them.
  private let hasNews = NIOLockedValueBox(false)
  private var takeNews: () -> Void = {}

  init(_ policy: FsyncPolicy, seed: UInt64 = 1) throws {
    self.policy = policy
    disk = try SimulatedDisk.withDirectory(Self.directory, seed: seed)
  }

  var core: ShardCore { shard.core }
  var store: Store { shard.core.store }
  /// Whether the process of the last start serves.
  var isServing: Bool { storage != nil && shard.core.state == .serving }

  // MARK: - Life

  /// The process begins, and begins to load.
  func start() throws {
    end()
    starts += 1
    shard = ShardFixture(
      core: ShardCore(
        cluster: "test", id: "a", incarnation: starts, version: "1", limits: Limits(),
        memory: memory, clock: { [clock] in clock.nowNanos },
        wallMillis: { [clock] in clock.wallMillis }, uptimeMillis: { 5 }), clock: clock)
    let directory = try ShardStorage.open(
      Self.directory, cluster: "test", shard: "a", seed: core.limits.hashSeed, over: disk)
    let storage = ShardStorage(directory, core: core, surroundings())
    storage.output = self
    storage.onFailure = { [unowned self] in failure = $0 }
    self.storage = storage
    storage.begin()
  }

  /// Begins, and continues until nothing is left to do.
  func startWhole() throws {
    try start()
    settle()
    try #require(isServing, "\(failure ?? "")")
  }

  private func surroundings() -> StorageSurroundings {
    var settings = LogFileSettings(policy: policy)
    settings.sizes = SegmentSizes(first: 16 << 10, largest: 256 << 10, fillStep: 64 << 10)
    settings.reserveBytes = 8 << 10
    settings.freeBytesMin = 0
    let numbers = LogStartNumbers(
      identity: NewLogIdentity(lineage: Lineage(high: 1, low: starts), directory: 3), life: starts)
    var surroundings = StorageSurroundings(
      numbers: numbers, settings: settings, wallMillis: { [clock] in clock.wallMillis },
      logger: nodeLog.logger,
      runLanes: { [unowned self] output in
        self.output = output
        return {}
      },
      waker: { [unowned self] action in
        takeNews = action
        return { [hasNews] in hasNews.withLockedValue { $0 = true } }
      })
    surroundings.loadBytesPerTurn = loadBytesPerTurn
    surroundings.passTurns.turnNanos = 0
    return surroundings
  }

  /// The process ends at once. The system keeps what it was given.
  func end() {
    forget()
    if !disk.isOff { disk.endProcess() }
  }

  /// The machine loses its power, and gets it again.
  func losePower(_ loss: PowerLoss = .anySubset) {
    forget()
    disk.restart(after: loss)
  }

  private func forget() {
    (storage, output, endOfTick, failure) = (nil, nil, nil, nil)
    takeNews = {}
    hasNews.withLockedValue { $0 = false }
  }

  // MARK: - What happens by itself

  /// The next thing: the end of a tick, news of the disk, a step of a lane or a turn of the loop.
  /// - Returns: false if there is nothing to do at this time.
  @discardableResult
  func step() -> Bool {
    if let target = endOfTick {
      endOfTick = nil
      target.flushNow()
    } else if takesNews() {
      takeNews()
    } else if core.hasTurns {
      core.runTurn()
    } else {
      return performLane()
    }
    return true
  }

  private func takesNews() -> Bool {
    hasNews.withLockedValue { hasNews in
      defer { hasNews = false }
      return hasNews
    }
  }

  private func performLane() -> Bool {
    guard let output, !isStalled else { return false }
    for lane in LogFileOutput.Lane.allCases {
      guard let due = output.due(lane, now: clock.nowNanos), due <= clock.nowNanos else { continue }
      output.perform(lane, now: clock.nowNanos)
      return true
    }
    return false
  }

  /// Everything that can be done at this time.
  func settle(_ comment: Comment = "the shard comes to rest") {
    for _ in 0..<1_000_000 where !step() { return }
    Issue.record(comment)
  }

  // MARK: - The loop's output

  func markFirst(_ target: any Flushable) { endOfTick = target }
  func hold() {}
  func release() {}
}

extension ShardFixture {
  init(core: ShardCore, clock: ManualClock) {
    self.core = core
    self.clock = clock
  }
}

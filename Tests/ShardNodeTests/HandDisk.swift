// A log's output whose disk does what the test says: what was given is written and synced by hand.

import Log
import LogFiles
import NodeCore
import ProtobufMessages
import RingstoreAPI
import Store

@testable import ShardNode

final class HandDisk: LogOutput {
  /// Batches that were given and not written.
  private(set) var given: [LogBatch] = []
  /// Every batch that was written, sealed, in order.
  private(set) var file: [[UInt8]] = []
  private(set) var syncsAsked = 0
  var room: DiskRoom?
  private(set) var isClosed = false
  private var events: [LogEvent] = []
  private var last: UInt64 = 0
  static let identity = LogIdentity(lineage: Lineage(high: 1, low: 2), life: 3)

  func write(_ batch: LogBatch) { given.append(batch) }

  /// Whether the loop may write by itself; every such write takes so long.
  var takesDirectWrites = false
  var whileWriting: () -> Void = {}

  func writeDirectly(_ batch: LogBatch) -> Bool {
    whileWriting()
    guard takesDirectWrites, given.isEmpty else {
      given.append(batch)
      return false
    }
    put(batch)
    return true
  }

  func sync(upTo number: UInt64) { syncsAsked += 1 }
  func beginPass(at begin: LogPosition) {
    passes.append((begin, nil))
    hasSlowPass = isSlow
  }

  func writePass(_ chunk: any PassBytes) {
    chunks.append(chunk)
  }

  func endPass(lastAsOf: LogPosition) { passes[passes.count - 1].lastAsOf = lastAsOf }
  func abandonPass() {}
  func keepFree(_ bytes: Int) {}
  func close() { isClosed = true }

  func takeEvents() -> [LogEvent] {
    defer { events = [] }
    return events
  }

  /// Passes that were begun, and where the last image of each was taken once all were.
  private(set) var passes: [(begin: LogPosition, lastAsOf: LogPosition?)] = []
  private var chunks: [any PassBytes] = []
  /// Whether it takes nothing of a pass until `takePass`.
  var isSlow = false
  private var hasSlowPass = false

  var passBytesQueued: Int { hasSlowPass ? 16 << 20 : 0 }

  /// The pass in progress continues.
  func takePass() { hasSlowPass = false }

  /// What was given of the pass is written, and it is complete.
  func completePass() {
    for chunk in chunks { events.append(.passWritten(chunk)) }
    chunks = []
    if let pass = passes.last { events.append(.passCompleted(pass.begin)) }
  }

  func abandonPass(_ begin: LogPosition) { events.append(.passAbandoned(begin)) }

  /// The disk has all that was given.
  func writeAll() {
    for batch in given { put(batch) }
    events.append(.written(last, given))
    given = []
  }

  private func put(_ batch: LogBatch) {
    batch.seal(committed: 0, lineage: Self.identity.lineage, life: Self.identity.life)
    file.append(Array(batch.bytes))
    last = batch.number
  }

  /// All that was written is synced.
  func sync() { events.append(.synced(last)) }

  func tell(_ event: LogEvent) { events.append(event) }
}

/// A shard that logs to a hand-driven disk.
final class LoggingShard {
  let shard: ShardFixture
  let disk = HandDisk()
  let log: ShardLog
  var failures: [String] = []
  /// Whether no connection may write.
  private(set) var isHeld = false
  /// Whether a change has asked for the end of its tick.
  private var isTickDue = false
  private var syncsDone = 0

  init(_ policy: FsyncPolicy = .everysec, limits: Limits = Limits()) {
    shard = ShardFixture(limits: limits)
    let clock = shard.clock
    log = ShardLog(
      LogAppender(position: 0), disk, policy, of: shard.core.store, gate: shard.core.gate,
      ceiling: VersionCeiling.start(
        recovered: 0, unixMillis: clock.wallMillis + VersionCeiling.newOwnerLeadMillis
      ).ceiling,
      clock: { clock.nowNanos })
    shard.core.log = log
    log.onFailure = { [unowned self] in failures.append($0) }
    log.onFirstChange = { [unowned self] in
      isTickDue = true
      if log.isDirect { isHeld = true }
    }
    log.onCommitted = { [unowned self] in isHeld = false }
    log.onStateDurable = { [unowned self] in shard.core.stateIsDurable() }
  }

  /// The end of a tick.
  func tick() {
    isTickDue = false
    log.handOn()
  }

  /// What follows without another call: ticks end that had changes, the disk does what it was
  /// asked for, and the shard hears of that.
  func settle() {
    while true {
      if isTickDue { tick() }
      guard !disk.given.isEmpty || disk.syncsAsked > syncsDone else { return }
      syncsDone = disk.syncsAsked
      disk.writeAll()
      disk.sync()
      log.takeEvents()
    }
  }

  /// The tick ends, and the disk has everything; synced, too, if the shard waits for that.
  func commit(syncing: Bool = true) {
    tick()
    disk.writeAll()
    if syncing { disk.sync() }
    log.takeEvents()
  }

  /// The newest document of the slot map that was written.
  func slotMapOnDisk() throws -> Ringstore_V1_SlotMap {
    var newest: [UInt8] = []
    _ = try replayed { if case .slotMap(let bytes) = $0 { newest = bytes } }
    return try Ringstore_V1_SlotMap(serializedBytes: newest)
  }

  /// The store that a replay of everything that was written makes.
  func replayed(_ tellState: @escaping (StateRecord) -> Void = { _ in }) throws -> Store {
    let store = Store(slotCount: 16_384)
    let reader = BatchReader(identity: HandDisk.identity, position: 0)
    for batch in disk.file { batch.withUnsafeBytes { reader.feed($0) } }
    reader.finish()
    let merge = LogMerge(into: StoreReplay(into: store, onState: tellState), passBegin: nil)
    while case .batch(let batch) = reader.next() {
      try merge.giveLog(batch)
      while try merge.advance(work: 1 << 20) != .log {}
    }
    return store
  }
}

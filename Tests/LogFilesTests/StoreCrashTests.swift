// A whole store, its log and its passes: after a crash at any call the store is as it was behind one
// of its batches, and none that was told as synced is missing.

import Log
import LogCrashes
import LogFiles
import SimulatedDisk
import Store
import TestSeeds
import Testing

/// A store that logs, on a simulated disk.
private final class LoggedShard {
  let disk: SimulatedDisk
  let rig: LogRig
  private var random: SeededRandom
  private var store = LoggedShard.makeStore()
  private var maker: PassMaker?
  /// What the store held behind each batch, by the log's position there.
  private var pictures: [(end: LogPosition, picture: [String])] = [(0, [])]
  private(set) var passes = 0
  /// What a start has found is durable.
  private var startPosition: LogPosition = 0

  init(seed: UInt64, _ policy: FsyncPolicy) throws {
    disk = try SimulatedDisk.withDirectory("data", seed: seed)
    rig = LogRig(disk, "data", policy)
    rig.settings.sizes = SegmentSizes(first: 12 << 10, largest: 24 << 10, fillStep: 12 << 10)
    random = SeededRandom(seed: seed &* 77)
  }

  private static func makeStore() -> Store {
    Store(databaseCount: 2, slotCount: 3, hashSeed: (5, 6))
  }

  /// - Returns: what is wrong with what was found; nil: nothing.
  func start(atLeast position: LogPosition) throws -> String? {
    let found = Self.makeStore()
    maker = nil
    try rig.start { LogMerge(into: StoreReplay(into: found), passBegin: $0) }
    let end = rig.appender.position
    guard end >= position else { return "the log ends at \(end), and \(position) was synced" }
    guard let expected = pictures.last(where: { $0.end == end }) else {
      return "no batch ended at \(end)"
    }
    let picture = StoredLog.picture(found)
    guard picture == expected.picture else {
      return "at \(end): \(picture) and not \(expected.picture)"
    }
    pictures.removeAll { $0.end > end }
    store = found
    store.observer = rig.appender
    startPosition = end
    return nil
  }

  /// The position up to which the log is durable, as far as was told.
  var synced: LogPosition { max(startPosition, pictures[Int(rig.syncedNumber)].end) }

  func run(steps: Int) throws {
    for _ in 0..<steps where !disk.isOff && rig.failure == nil {
      switch random.below(10) {
      case ..<4: try call()
      case 4:
        let isNew = !rig.appender.isEmpty
        if isNew { pictures.append((rig.appender.position, StoredLog.picture(store))) }
        rig.give(asNumber: UInt64(pictures.count - 1), directly: random.chance(2))
      case 5: rig.perform(.writer)
      case 6, 7: rig.perform(.background)
      case 8: rig.now += UInt64(random.below(300)) * 1_000_000
      default: passTurn()
      }
    }
  }

  private func passTurn() {
    guard let maker else {
      if rig.isPassOver {
        let begin = rig.appender.position
        maker = PassMaker(of: store, begin: begin, state: [])
        rig.beginPass(at: begin)
      }
      return
    }
    for _ in 0..<1 + random.below(3) {
      _ = maker.take(asOf: rig.appender.position, keys: 1 + random.below(4), bytes: 100_000)
    }
    if let chunk = maker.takeChunk() { rig.output?.writePass(chunk) }
    if maker.isDone {
      rig.output?.endPass(lastAsOf: maker.lastAsOf)
      self.maker = nil
      passes += 1
    }
  }

  private func call() throws {
    let key = [UInt8(random.below(12))]
    let value = [UInt8](
      repeating: UInt8(random.below(250)), count: random.below(random.chance(5) ? 2000 : 60))
    let kind = random.below(8)
    do {
      try key.withUnsafeBytes { key in
        try value.withUnsafeBytes { value in
          let place = store.find(
            key, slot: Int(key[0]) % 3, database: Int(key[0]) % 2, nowMillis: 1)
          switch kind {
          case 0: _ = store.delete(at: place)
          case 1: _ = try store.incrBy(7, at: place)
          case 2: _ = try store.pop(.head, at: place)
          case 3: store.reset(slot: random.below(3), database: random.below(2))
          case 4, 5: _ = store.set(value, expiry: .never, at: place)
          default:
            _ = try store.push(value, kind == 6 ? .head : .tail, at: place)
          }
        }
      }
    } catch is Store.StoreError {
    }
  }
}

@Suite struct StoreCrashTests {
  @Test(arguments: FsyncPolicy.allCases)
  func theStoreIsAsItWasBehindABatch(_ policy: FsyncPolicy) throws {
    var passes = 0
    for seed in 1...30 as ClosedRange<UInt64> {
      let shard = try LoggedShard(seed: seed, policy)
      var random = SeededRandom(seed: seed)
      var synced: LogPosition = 0
      for life in 0..<4 {
        let wrong = try shard.start(atLeast: synced)
        try #require(wrong == nil, "seed \(seed), \(policy), life \(life)")
        shard.disk.setFault(.powerLoss, atCall: shard.disk.calls + 1 + random.below(200))
        try shard.run(steps: 300)
        synced = shard.synced
        shard.disk.restart()
      }
      let wrong = try shard.start(atLeast: synced)
      #expect(wrong == nil, "seed \(seed), \(policy)")
      passes += shard.passes
    }
    #expect(passes > 10)
  }
}

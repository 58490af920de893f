// A small log and a pass of a real store, as inputs to begin from.

import Log
import NodeCore
import Store

enum LogSeeds {
  static let identity = LogIdentity(lineage: Lineage(high: 1, low: 2), life: 3)

  static func makeStore() -> Store {
    Store(databaseCount: 2, slotCount: 3, hashSeed: (1, 2))
  }

  /// Two bytes for the splits, one for what is repaired, then batches.
  static var batches: [[UInt8]] {
    let run = LoggedRun(calls: 12)
    let log = run.batches.flatMap { $0 }
    return [
      [1, 9, 0] + log, [2, 60, 1] + (run.batches.first ?? []), [3, 3, 0] + log + zeros(50),
      [4, 200, 1] + log.prefix(60), [5, 5, 0] + zeros(40), [6, 1, 0] + zeros(9) + log,
    ]
  }

  /// The batches of FuzzReplay: see there.
  static var replays: [[UInt8]] {
    (1...4).map { number in
      let run = LoggedRun(calls: 8 * number, seed: UInt64(number))
      return [UInt8(number), 40, UInt8(number)] + run.input
    }
  }

  private static func zeros(_ count: Int) -> [UInt8] { [UInt8](repeating: 0, count: count) }

  /// Makes a batch of the bytes: the records, whatever they are, with a head that fits.
  static func repairHead(_ bytes: inout [UInt8]) {
    guard bytes.count >= BatchFormat.headerBytes + BatchFormat.recordHeaderBytes else { return }
    let made = BatchFormat.batch(
      of: [(1, 0, Array(bytes[(BatchFormat.headerBytes + BatchFormat.recordHeaderBytes)...]))],
      position: 0, identity: identity)
    bytes = made
  }
}

/// Calls on a store, their log, and a pass that is taken meanwhile.
private final class LoggedRun {
  private(set) var batches: [[UInt8]] = []
  /// Records as FuzzReplay takes them.
  private(set) var input: [UInt8] = []

  private let store = LogSeeds.makeStore()
  private let appender = LogAppender(position: 0)
  private var random: SplitMix64
  private var position: LogPosition = 0
  private var passPosition: LogPosition = 0
  private var records = 0
  /// Of them, those before the last image.
  private var recordsOfImage = 0

  init(calls: Int, seed: UInt64 = 7) {
    random = SplitMix64(seed: seed)
    store.observer = appender
    for _ in 0..<calls { call() }
    let maker = PassMaker(
      of: store, begin: appender.position, state: [.versionCeiling(1 << 40)])
    while !maker.isDone {
      _ = maker.take(asOf: appender.position, keys: 2, bytes: 100)
      if let chunk = maker.takeChunk() { write(chunk) }
      call()
    }
    store.observer = nil
  }

  private func call() {
    let key = [UInt8(random.next() % 6)]
    let (slot, database) = (Int(key[0]) % 3, Int(random.next() % 2))
    let value = [UInt8](repeating: key[0], count: Int(random.next() % 30))
    key.withUnsafeBytes { key in
      value.withUnsafeBytes { value in
        let place = store.find(key, slot: slot, database: database, nowMillis: 1)
        switch random.next() % 6 {
        case 0: _ = store.delete(at: place)
        case 1: _ = try? store.incrBy(3, at: place)
        case 2: _ = store.reset(slot: slot, database: database)
        case 3: _ = store.set(value, expiry: Expiry(unixMillis: 1 << 40), at: place)
        default: _ = try? store.push(value, .tail, at: place)
        }
      }
    }
    take()
  }

  private func take() {
    guard let batch = appender.takeBatch() else { return }
    let identity = LogSeeds.identity
    batch.seal(committed: position, lineage: identity.lineage, life: identity.life)
    position = batch.end
    add(Array(batch.bytes), isPass: false)
    appender.recycle(batch)
  }

  private func write(_ chunk: PassChunk) {
    while let pieces = chunk.nextBatch(
      at: passPosition, committed: 0, epoch: 0, identity: LogSeeds.identity)
    {
      let bytes = pieces.flatMap { Array($0) }
      add(bytes, isPass: true, at: passPosition)
      passPosition += UInt64(bytes.count)
    }
    chunk.release()
  }

  private func add(_ bytes: [UInt8], isPass: Bool, at start: LogPosition = 0) {
    if !isPass { batches.append(bytes) }
    let begin = isPass ? start : position - UInt64(bytes.count)
    let reader = BatchReader(identity: LogSeeds.identity, position: begin)
    bytes.withUnsafeBytes { reader.feed($0) }
    guard case .batch(let batch) = reader.next() else { return }
    for record in batch.records {
      let slot = record.slot == BatchFormat.noSlot ? 255 : UInt8(record.slot)
      // The end of a pass tells where its last image was taken.
      let isEnd = isPass && record.type == RecordType.passEnd.rawValue
      input += [isPass ? 1 : 0, record.type, slot, UInt8(isEnd ? recordsOfImage : records)]
      let count = record.payload.count
      input += [UInt8(truncatingIfNeeded: count), UInt8(truncatingIfNeeded: count >> 8)]
      input += record.payload
      if isPass { recordsOfImage = isEnd ? recordsOfImage : records } else { records += 1 }
    }
  }
}

// A store whose effects go into a log while passes are taken of it in small turns: random calls
// from a seed, and the bytes that files would hold.

import Store
import TestSeeds
import Testing

@testable import Log

final class LoggedStore {
  static let slotCount = 3
  static let databaseCount = 2
  static let identity = LogBytes.identity

  struct Pass {
    let begin: LogPosition
    var bytes: Bytes = []
    var lastAsOf: LogPosition = 0
    /// The log in front of it, where it is the one to begin with.
    var isComplete = false
  }

  let store = LoggedStore.makeStore()
  let appender: LogAppender
  private(set) var random: SeededRandom
  private(set) var log: Bytes = []
  /// What the store held at the ends of batches, if that is kept.
  var keepsPictures = true
  private(set) var pictures: [(end: LogPosition, picture: StorePicture)] = []
  private(set) var passes: [Pass] = []
  private(set) var state: [StateRecord] = []
  private var maker: PassMaker?
  /// Chunks on their way to the file: made into bytes later, when the store has changed.
  private var waiting: [PassChunk] = []
  private var nowMillis: Int64 = 1
  private let keys: [Bytes]
  /// How far behind the log's position an image is said to be taken: 0, but for a planted fault.
  var asOfLag: (LoggedStore) -> LogPosition = { $0.appender.position }

  static func makeStore() -> Store {
    Store(databaseCount: databaseCount, slotCount: slotCount, hashSeed: (5, 6))
  }

  init(seed: UInt64) {
    var random = SeededRandom(seed: seed)
    var keys: [Bytes] = [[], Bytes(repeating: 7, count: 300)]
    for length in 1...30 { keys.append(random.bytes(length)) }
    self.keys = keys
    self.random = random
    appender = LogAppender(position: 0)
    store.observer = appender
  }

  // MARK: - A run

  func run(calls: Int) throws {
    for _ in 0..<calls {
      try call()
      if chance(20) { takeBatch() }
      if maker == nil, chance(60) { beginPass() }
      if maker != nil, chance(3) { try passTurn() }
      if chance(10) { writeWaiting() }
    }
    takeBatch()
  }

  func chance(_ of: Int) -> Bool { Int.random(in: 0..<of, using: &random) == 0 }

  func takeBatch() {
    while let batch = appender.takeBatch() {
      batch.seal(
        committed: 0, lineage: Self.identity.lineage, life: Self.identity.life)
      log += batch.bytes
      if appender.isEmpty, keepsPictures { pictures.append((batch.end, StorePicture(store))) }
      appender.recycle(batch)
    }
  }

  func beginPass() {
    maker = PassMaker(of: store, begin: appender.position, state: state)
    passes.append(Pass(begin: appender.position))
  }

  private func passTurn() throws {
    guard let maker else { return }
    // Mostly one key or two in a turn, so that much happens in between.
    let keys = chance(8) ? 50 : Int.random(in: 1...2, using: &random)
    let bytes = chance(2) ? 1 : 100_000
    for _ in 0..<Int.random(in: 1...2, using: &random) {
      _ = maker.take(asOf: asOfLag(self), keys: keys, bytes: bytes)
    }
    if let chunk = maker.takeChunk() { waiting.append(chunk) }
    if maker.isDone { endPass() }
  }

  /// Takes the rest of a pass that is in progress, at once.
  func finishPass() {
    while let maker {
      _ = maker.take(asOf: asOfLag(self), keys: 100, bytes: .max)
      if let chunk = maker.takeChunk() { waiting.append(chunk) }
      if maker.isDone { endPass() }
    }
    writeWaiting()
  }

  private func endPass() {
    writeWaiting()
    passes[passes.count - 1].lastAsOf = maker?.lastAsOf ?? 0
    passes[passes.count - 1].isComplete = true
    maker = nil
  }

  private func writeWaiting() {
    guard var pass = passes.last else { return }
    for chunk in waiting {
      let first = pass.begin | 1 << 63
      while let pieces = chunk.nextBatch(
        at: first + UInt64(pass.bytes.count), committed: 0, epoch: 0, identity: Self.identity)
      {
        for piece in pieces { pass.bytes += piece }
      }
      chunk.release()
    }
    waiting = []
    passes[passes.count - 1] = pass
  }

  // MARK: - Calls

  private func value() -> Bytes {
    switch Int.random(in: 0..<60, using: &random) {
    case 0: Bytes(repeating: UInt8.random(in: 0...9, using: &random), count: 70_000)
    case 1: random.bytes(3_000)
    case 2..<20: Bytes(String(Int.random(in: -20...20, using: &random)).utf8)
    default: random.bytes(Int.random(in: 0...24, using: &random))
    }
  }

  private func expiry() -> Expiry {
    chance(2) ? .never : Expiry(unixMillis: nowMillis + Int64.random(in: 1...60, using: &random))
  }

  private func find<R>(_ body: (KeyPlace) throws -> R) rethrows -> R {
    // A few keys get most of the calls.
    let index = Int.random(in: 0..<(chance(2) ? 5 : keys.count), using: &random)
    return try at(
      keys[index], slot: index % Self.slotCount,
      database: Int.random(in: 0..<Self.databaseCount, using: &random), body)
  }

  private func at<R>(
    _ key: Bytes, slot: Int, database: Int, _ body: (KeyPlace) throws -> R
  ) rethrows -> R {
    try key.withUnsafeBytes {
      try body(store.find($0, slot: slot, database: database, nowMillis: nowMillis))
    }
  }

  func call() throws {
    do {
      try perform()
    } catch is Store.StoreError {
    }
  }

  private func perform() throws {
    switch Int.random(in: 0..<100, using: &random) {
    case 0..<25:
      let (value, expiry) = (value(), expiry())
      find { place in _ = value.withUnsafeBytes { store.set($0, expiry: expiry, at: place) } }
    case 25..<35: find { _ = store.delete(at: $0) }
    case 35..<40:
      let expiry = expiry()
      find { _ = store.setExpiry(expiry, at: $0) }
    case 40..<45: try find { _ = try store.incrBy(7, at: $0) }
    case 45..<50:
      let value = value() + [1]
      try find { place in
        let old = try store.string(at: place)
        _ = value.withUnsafeBytes {
          store.write($0, offset: (old?.bytes.count ?? 0) + 2, into: old, at: place)
        }
      }
    case 50..<68: try push(count: Int.random(in: 1...4, using: &random))
    case 68..<70: try push(count: chance(2) ? 300 : 6_000, length: 16)
    case 70..<76: try find { _ = try store.pop(chance(2) ? .head : .tail, at: $0) }
    case 76..<88: try performWithinList()
    case 88..<92: try move()
    case 92..<95:
      nowMillis += Int64.random(in: 0...20, using: &random)
      _ = store.expire(nowMillis: nowMillis, maxVisits: 4)
    case 95..<97:
      let record = StateRecord.versionCeiling(UInt64(state.count))
      state.append(record)
      appender.append(record)
    case 97..<98:
      store.reset(
        slot: Int.random(in: 0..<Self.slotCount, using: &random),
        database: Int.random(in: 0..<Self.databaseCount, using: &random))
    default: store.collectGarbage(entries: 100)
    }
  }

  private func push(count: Int, length: Int? = nil) throws {
    let values = (0..<count).map { _ in length.map { random.bytes($0) } ?? value() }
    try find { place in
      try values.withPieces { _ = try store.push($0, chance(2) ? .head : .tail, at: place) }
    }
  }

  private func performWithinList() throws {
    let value = value()
    try find { place in
      guard let length = try store.listLength(at: place) else { return }
      switch Int.random(in: 0..<5, using: &random) {
      case 0: _ = store.removeOutermost(min(length, 5), .tail, at: place)
      case 1:
        _ = try value.withUnsafeBytes {
          try store.setElement($0, at: Int64(length / 2), at: place)
        }
      case 2: _ = try store.trim(start: 1, stop: -2, at: place)
      case 3:
        _ = try value.withUnsafeBytes {
          try store.insertElement($0, before: length / 2, at: place)
        }
      default:
        let indices = Array(stride(from: 1, to: length, by: 3))
        if !indices.isEmpty { _ = try store.removeElements(indices, at: place) }
      }
    }
  }

  /// Two keys in one group.
  private func move() throws {
    let slot = Int.random(in: 0..<Self.slotCount, using: &random)
    let ofSlot = keys.indices.filter { $0 % Self.slotCount == slot }
    let (source, destination) = (keys[ofSlot[0]], keys[ofSlot[1]])
    try store.inOneGroup(slot: slot) {
      _ = try at(source, slot: slot, database: 0) { try store.push([1], .head, at: $0) }
      _ = try at(destination, slot: slot, database: 0) { try store.push([2], .tail, at: $0) }
    }
  }
}

extension Store {
  fileprivate func push(_ value: Bytes, _ end: ListEnd, at place: KeyPlace) throws -> Int {
    try value.withUnsafeBytes { try push($0, end, at: place).length }
  }
}

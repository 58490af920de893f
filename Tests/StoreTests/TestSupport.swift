// What the store's tests share: a fixture that speaks arrays, and random numbers from a seed.

import LargeMemory
import Testing

@testable import Store

typealias Bytes = [UInt8]

extension Array where Element == UInt8 {
  init(_ text: String) { self.init(text.utf8) }
}

/// A store whose calls take and give arrays, in slot 0 of database 0 unless told otherwise.
struct Fixture {
  let store: Store
  let memoryAtStart: Int

  let usedAtStart: Int

  init(
    databaseCount: Int = 2, slotCount: Int = 4, usesSlabs: Bool = true,
    garbageLimits: Garbage.Limits = Garbage.Limits()
  ) {
    store = Store(
      databaseCount: databaseCount, slotCount: slotCount, hashSeed: (1, 2), usesSlabs: usesSlabs,
      garbageLimits: garbageLimits)
    memoryAtStart = store.memoryBytes
    usedAtStart = store.usedBytes
  }

  func get(_ key: Bytes, slot: Int = 0, database: Int = 0) throws -> Bytes? {
    try versionedGet(key, slot: slot, database: database)?.bytes
  }

  func versionedGet(
    _ key: Bytes, slot: Int = 0, database: Int = 0
  ) throws -> (bytes: Bytes, version: UInt64)? {
    try key.withUnsafeBytes { key in
      try store.get(key, slot: slot, database: database).map { (Bytes($0.bytes), $0.version) }
    }
  }

  @discardableResult
  func set(_ key: Bytes, _ value: Bytes, slot: Int = 0, database: Int = 0) -> UInt64 {
    key.withUnsafeBytes { key in
      value.withUnsafeBytes { store.set(key, value: $0, slot: slot, database: database) }
    }
  }

  /// Sets a value that lies in a block: behind `before` bytes, with `after` behind it.
  @discardableResult
  func setInBlock(
    _ key: Bytes, _ value: Bytes, before: Int = 0, after: Int = 0, slot: Int = 0, database: Int = 0
  ) -> UInt64 {
    let block = LargeBlock(capacity: max(1, before + value.count + after))
    value.withUnsafeBytes {
      UnsafeMutableRawBufferPointer(start: block.base + before, count: value.count)
        .copyMemory(from: $0)
    }
    return key.withUnsafeBytes { key in
      store.set(
        key, value: UnsafeRawBufferPointer(start: block.base + before, count: value.count),
        in: block, slot: slot, database: database)
    }
  }

  @discardableResult
  func delete(_ key: Bytes, slot: Int = 0, database: Int = 0) -> UInt64? {
    key.withUnsafeBytes { store.delete($0, slot: slot, database: database) }
  }

  func type(_ key: Bytes, slot: Int = 0, database: Int = 0) -> Store.ValueType {
    key.withUnsafeBytes { store.type(of: $0, slot: slot, database: database) }
  }

  @discardableResult
  func incrBy(
    _ key: Bytes, _ delta: Int64, slot: Int = 0, database: Int = 0
  ) throws -> (value: Int64, version: UInt64) {
    try key.withUnsafeBytes {
      try store.incrBy($0, delta: delta, slot: slot, database: database)
    }
  }

  @discardableResult
  func push(
    _ key: Bytes, _ end: Store.ListEnd, _ values: [Bytes], slot: Int = 0, database: Int = 0
  ) throws -> (length: Int, version: UInt64) {
    let all = Bytes(values.joined())
    return try key.withUnsafeBytes { key in
      try all.withUnsafeBytes { all in
        var start = 0
        let buffers = values.map { value in
          defer { start += value.count }
          return UnsafeRawBufferPointer(rebasing: all[start..<start + value.count])
        }
        if buffers.count == 1 {
          return try store.push(key, end: end, slot: slot, database: database, value: buffers[0])
        }
        return try store.push(key, end: end, slot: slot, database: database, values: buffers)
      }
    }
  }

  func pop(
    _ key: Bytes, _ end: Store.ListEnd, slot: Int = 0, database: Int = 0
  ) throws -> (bytes: Bytes, version: UInt64)? {
    try key.withUnsafeBytes { key in
      try store.pop(key, end: end, slot: slot, database: database)
        .map { (Bytes($0.bytes), $0.version) }
    }
  }

  func length(_ key: Bytes, slot: Int = 0, database: Int = 0) throws -> Int? {
    try key.withUnsafeBytes { try store.listLength($0, slot: slot, database: database) }
  }

  func range(
    _ key: Bytes, _ start: Int64, _ stop: Int64, slot: Int = 0, database: Int = 0
  ) throws -> Store.ListView? {
    try key.withUnsafeBytes {
      try store.range($0, start: start, stop: stop, slot: slot, database: database)
    }
  }

  func pinnedValue(
    _ key: Bytes, slot: Int = 0, database: Int = 0
  ) throws -> Store.PinnedBytes? {
    try key.withUnsafeBytes { try store.pinnedValue($0, slot: slot, database: database) }
  }

  func popPinned(
    _ key: Bytes, _ end: Store.ListEnd, longerThan bytes: Int, slot: Int = 0, database: Int = 0
  ) throws -> Store.PinnedBytes? {
    try key.withUnsafeBytes {
      try store.popPinned($0, end: end, slot: slot, database: database, longerThan: bytes)
    }
  }

  func peekLength(
    _ key: Bytes, _ end: Store.ListEnd, slot: Int = 0, database: Int = 0
  ) throws -> Int? {
    try key.withUnsafeBytes {
      try store.peekLength($0, end: end, slot: slot, database: database)
    }
  }

  /// One slice of a scan.
  func scan(
    slot: Int = 0, cursor: UInt64, maxVisits: Int, stopAfter: Int = .max
  ) -> (keys: [Bytes], next: UInt64) {
    var keys: [Bytes] = []
    let result = store.scan(database: 0, slot: slot, cursor: cursor, maxVisits: maxVisits) {
      key, _, _ in
      keys.append(Bytes(key))
      return keys.count < stopAfter
    }
    #expect(result.visited == keys.count)
    return (keys, result.next)
  }
}

extension Store.ListView {
  var elements: [Bytes] {
    var all: [Bytes] = []
    forEach {
      all.append(Bytes($0))
      return true
    }
    return all
  }
}

extension Store.PinnedBytes {
  var bytes: Bytes { withBytes(0..<count) { Bytes($0) } }
}

/// SplitMix64 (Steele, Lea, Flood 2014).
struct SeededRandom: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    return mixed ^ (mixed >> 31)
  }

  mutating func bytes(_ count: Int) -> Bytes {
    (0..<count).map { _ in UInt8(truncatingIfNeeded: next() >> 32) }
  }
}

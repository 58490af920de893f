// What the store's tests share: a fixture that speaks arrays.

import LargeMemory
import Testing

@testable import Store

typealias Bytes = [UInt8]

extension Array where Element == UInt8 {
  init(_ text: String) { self.init(text.utf8) }
}

/// A store whose calls take and give arrays, in slot 0 of database 0 unless told otherwise.
struct Fixture {
  /// The wall clock, which tests set.
  final class Clock {
    var millis: Int64 = 1
  }

  let store: Store
  let clock = Clock()
  let memoryAtStart: Int

  let usedAtStart: Int

  init(
    databaseCount: Int = 2, slotCount: Int = 4, versionsBegin: UInt64 = 0, usesSlabs: Bool = true,
    garbageLimits: Garbage.Limits = Garbage.Limits()
  ) {
    store = Store(
      databaseCount: databaseCount, slotCount: slotCount, hashSeed: (1, 2),
      versionsBegin: versionsBegin, usesSlabs: usesSlabs, garbageLimits: garbageLimits)
    memoryAtStart = store.memoryBytes
    usedAtStart = store.usedBytes
  }

  /// Calls `body` with the key's place.
  func at<R>(
    _ key: Bytes, _ slot: Int = 0, _ database: Int = 0, _ body: (KeyPlace) throws -> R
  ) rethrows -> R {
    try key.withUnsafeBytes {
      try body(store.find($0, slot: slot, database: database, nowMillis: clock.millis))
    }
  }

  /// Whether the key has an entry, due or not.
  func holds(_ key: Bytes, slot: Int = 0, database: Int = 0) -> Bool {
    key.withUnsafeBytes {
      store.directory.table(database: database, slot: slot)?.pointee
        .place(of: $0, hash: store.hasher.hash($0)) != nil
    }
  }

  func get(_ key: Bytes, slot: Int = 0, database: Int = 0) throws -> Bytes? {
    try versionedGet(key, slot: slot, database: database)?.bytes
  }

  func versionedGet(
    _ key: Bytes, slot: Int = 0, database: Int = 0
  ) throws -> (bytes: Bytes, version: UInt64)? {
    try at(key, slot, database) { place in
      try store.string(at: place).map { (Bytes($0.bytes), $0.version) }
    }
  }

  @discardableResult
  func set(
    _ key: Bytes, _ value: Bytes, expiry: Expiry = .never, slot: Int = 0, database: Int = 0
  ) -> UInt64 {
    at(key, slot, database) { place in
      value.withUnsafeBytes { store.set($0, expiry: expiry, at: place) }
    }
  }

  @discardableResult
  func setExpiry(
    _ key: Bytes, _ expiry: Expiry, slot: Int = 0, database: Int = 0
  ) -> UInt64? {
    at(key, slot, database) { store.setExpiry(expiry, at: $0) }
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
    let inBlock = UnsafeRawBufferPointer(start: block.base + before, count: value.count)
    return at(key, slot, database) { store.set(inBlock, in: block, at: $0) }
  }

  @discardableResult
  func delete(_ key: Bytes, slot: Int = 0, database: Int = 0) -> UInt64? {
    at(key, slot, database) { store.delete(at: $0) }
  }

  func type(_ key: Bytes, slot: Int = 0, database: Int = 0) -> Store.ValueType {
    at(key, slot, database) { $0.type }
  }

  @discardableResult
  func incrBy(
    _ key: Bytes, _ delta: Int64, slot: Int = 0, database: Int = 0
  ) throws -> (value: Int64, version: UInt64) {
    try at(key, slot, database) { try store.incrBy(delta, at: $0) }
  }

  @discardableResult
  func push(
    _ key: Bytes, _ end: Store.ListEnd, _ values: [Bytes], slot: Int = 0, database: Int = 0
  ) throws -> (length: Int, version: UInt64) {
    try at(key, slot, database) { place in
      try values.withPieces { pieces in
        if pieces.count == 1 { return try store.push(pieces[0], end, at: place) }
        return try store.push(pieces, end, at: place)
      }
    }
  }

  func pop(
    _ key: Bytes, _ end: Store.ListEnd, slot: Int = 0, database: Int = 0
  ) throws -> (bytes: Bytes, version: UInt64)? {
    try at(key, slot, database) { place in
      try store.pop(end, at: place).map { (Bytes($0.bytes), $0.version) }
    }
  }

  func length(_ key: Bytes, slot: Int = 0, database: Int = 0) throws -> Int? {
    try at(key, slot, database) { try store.listLength(at: $0) }
  }

  func range(
    _ key: Bytes, _ start: Int64, _ stop: Int64, slot: Int = 0, database: Int = 0
  ) throws -> Store.ListView? {
    try at(key, slot, database) { try store.range(start: start, stop: stop, at: $0) }
  }

  func pinnedList(
    _ key: Bytes, slot: Int = 0, database: Int = 0
  ) throws -> PinnedList? {
    try at(key, slot, database) { try store.pinnedList(at: $0) }
  }

  func pinnedValue(
    _ key: Bytes, slot: Int = 0, database: Int = 0
  ) throws -> Store.PinnedBytes? {
    try at(key, slot, database) { try store.pinnedString(at: $0) }
  }

  /// Pops the outermost element if it is longer than `bytes`, as a shard does.
  func popPinned(
    _ key: Bytes, _ end: Store.ListEnd, longerThan bytes: Int, slot: Int = 0, database: Int = 0
  ) throws -> Store.PinnedBytes? {
    try at(key, slot, database) { place in
      guard let element = try store.outermost(end, at: place), element.count > bytes
      else { return nil }
      return try store.popPinned(end, at: place)
    }
  }

  func peekLength(
    _ key: Bytes, _ end: Store.ListEnd, slot: Int = 0, database: Int = 0
  ) throws -> Int? {
    try at(key, slot, database) { try store.outermost(end, at: $0)?.count }
  }

  /// The view of what is popped, which shows the version of the write.
  func popMany(
    _ key: Bytes, _ end: Store.ListEnd, _ count: Int, slot: Int = 0, database: Int = 0
  ) throws -> (view: Store.ListView, version: UInt64)? {
    try at(key, slot, database) { place in
      guard let view = try store.outermost(count, end, at: place), view.count > 0 else {
        return nil
      }
      return (view, store.removeOutermost(view.count, end, at: place))
    }
  }

  func element(
    _ key: Bytes, _ index: Int64, slot: Int = 0, database: Int = 0
  ) throws -> (bytes: Bytes, version: UInt64)? {
    try at(key, slot, database) { place in
      try store.element(at: index, at: place).map { (Bytes($0.bytes), $0.version) }
    }
  }

  @discardableResult
  func setElement(
    _ key: Bytes, _ index: Int64, _ value: Bytes, slot: Int = 0, database: Int = 0
  ) throws -> (length: Int, version: UInt64)? {
    try at(key, slot, database) { place in
      try value.withUnsafeBytes { try store.setElement($0, at: index, at: place) }
    }
  }

  @discardableResult
  func trim(
    _ key: Bytes, _ start: Int64, _ stop: Int64, slot: Int = 0, database: Int = 0
  ) throws -> (length: Int, version: UInt64) {
    try at(key, slot, database) { try store.trim(start: start, stop: stop, at: $0) }
  }

  @discardableResult
  func insertElement(
    _ key: Bytes, _ index: Int, _ value: Bytes, slot: Int = 0, database: Int = 0
  ) throws -> (length: Int, version: UInt64)? {
    try at(key, slot, database) { place in
      let length = try store.listLength(at: place) ?? 0
      return try value.withUnsafeBytes {
        try store.insertElement($0, before: min(index, length), at: place)
      }
    }
  }

  /// The element that is moved, as the store's bytes or held.
  func move(
    _ key: Bytes, _ from: Store.ListEnd, to destination: Bytes, _ to: Store.ListEnd, isPinned: Bool,
    slot: Int = 0, database: Int = 0
  ) throws -> (bytes: Bytes, version: UInt64, pinned: Store.PinnedBytes?)? {
    try at(destination, slot, database) { place in
      // Is of another type: refused, as the command does.
      let isEmpty = try at(key, slot, database) { try store.listLength(at: $0) == nil }
      if isEmpty { return nil }
      _ = try at(destination, slot, database) { try store.listLength(at: $0) }
      return try at(key, slot, database) { source in
        let move = Store.Move(from: from, of: source, to: to, of: place.lookup)
        if isPinned {
          return try store.movePinned(move).map { ($0.bytes, $0.version, $0) }
        }
        return try store.move(move).map { (Bytes($0.bytes), $0.version, nil) }
      }
    }
  }

  /// Continues with a search of a list that is there.
  func advance(
    _ search: inout ListSearch, for value: Bytes, steps: Int, _ key: Bytes
  ) throws -> Bool {
    try at(key) { place in
      try value.withUnsafeBytes {
        try store.advance(&search, for: $0, steps: steps, at: place) ?? true
      }
    }
  }

  /// - Returns: nil if nothing was removed.
  @discardableResult
  func removeElements(
    _ key: Bytes, by divisor: Int, rest: Int, slot: Int = 0, database: Int = 0
  ) throws -> (length: Int, version: UInt64)? {
    try at(key, slot, database) { place in
      let length = try store.listLength(at: place) ?? 0
      let indices = Array(stride(from: rest, to: length, by: divisor))
      guard !indices.isEmpty, let version = try store.removeElements(indices, at: place)
      else { return nil }
      return (length - indices.count, version)
    }
  }

  /// One slice of a scan.
  func scan(
    slot: Int = 0, cursor: UInt64, maxVisits: Int, stopAfter: Int = .max
  ) -> (keys: [Bytes], next: UInt64) {
    var keys: [Bytes] = []
    let result = store.scan(
      database: 0, slot: slot, cursor: cursor, maxVisits: maxVisits, nowMillis: clock.millis
    ) {
      key, _, _ in
      keys.append(Bytes(key))
      return keys.count < stopAfter
    }
    #expect(result.visited == keys.count)
    return (keys, result.next)
  }
}

extension Array where Element == Bytes {
  /// Calls `body` with the elements where they lie, side by side.
  func withPieces<R>(
    _ body: (UnsafeBufferPointer<UnsafeRawBufferPointer>) throws -> R
  ) rethrows -> R {
    let all = Bytes(joined())
    return try all.withUnsafeBytes { all in
      var start = 0
      let pieces = map { element in
        defer { start += element.count }
        return UnsafeRawBufferPointer(rebasing: all[start..<start + element.count])
      }
      return try pieces.withUnsafeBufferPointer(body)
    }
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

extension PinnedList {
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

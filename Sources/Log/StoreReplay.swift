// Replays a log into a store, and compares a store with the images of a pass. Lives on the store's
// thread.

import Store
import TextForms

package final class StoreReplay: ReplayTarget {
  private let store: Store
  /// For complete lists, and for one that arrives in parts.
  private let builder: Store.ListBuilder
  private let partsBuilder: Store.ListBuilder
  private let onState: (StateRecord) -> Void
  private let usedMillis: Int64
  private var compared: ComparedList?
  private var comparedParts: ComparedList?
  /// The store's greatest.
  private static let versionMax: UInt64 = 1 << 56 - 1

  /// - Parameters:
  ///   - usedMillis: the last use of the log's keys: effects contain no time of use, but are newer
  ///     than the pass. (Images contain the last use of their keys.)
  ///   - onState: gets the log's records of state, in order.
  package init(
    into store: Store, usedMillis: Int64 = 0, onState: @escaping (StateRecord) -> Void = { _ in }
  ) {
    self.store = store
    self.usedMillis = usedMillis
    self.onState = onState
    builder = store.makeListBuilder()
    partsBuilder = store.makeListBuilder()
  }

  package var end: ImageCursor { store.imageEnd }

  package func hash(of key: UnsafeRawBufferPointer) -> UInt64 { store.hash(of: key) }

  package func adopt(_ state: StateRecord) { onState(state) }

  // MARK: - Effects

  package func prefetch(_ keys: UnsafeBufferPointer<KeyAhead>) {
    withUnsafeTemporaryAllocation(of: KeyLookup.self, capacity: keys.count) { lookups in
      var count = 0
      for key in keys
      where key.slot < store.slotCount && key.database < store.databaseCount
        && key.key.count <= Store.keyBytesMax
      {
        let lookup = store.lookup(key.key, slot: key.slot, database: key.database, nowMillis: 0)
        lookups.initializeElement(at: count, to: lookup)
        count += 1
      }
      store.prefetch(UnsafeBufferPointer(rebasing: lookups[..<count]))
    }
  }

  package func apply(_ effect: Effect) throws(Effect.Corruption) {
    try store.apply(effect, usedMillis: usedMillis)
  }

  package func skip(_ effect: Effect) throws(Effect.Corruption) {
    guard effect.slot < store.slotCount, effect.version <= Self.versionMax else {
      throw .outOfBounds
    }
    store.raiseVersion(to: effect.version, slot: effect.slot)
  }

  package func emptyPart(_ effect: Effect) throws(Effect.Corruption) {
    guard effect.slot < store.slotCount, effect.database < store.databaseCount else {
      throw .outOfBounds
    }
    if store.keyCount(database: effect.database, slot: effect.slot) > 0 {
      try store.apply(effect, usedMillis: usedMillis)
    } else {
      try skip(effect)
    }
  }

  // MARK: - Images

  package func reserve(keys: Int, slot: Int, database: Int) {
    store.reserve(keys: keys, slot: slot, database: database)
  }

  package func install(_ value: ReplayValue, _ key: ReplayKey) throws(Effect.Corruption) {
    let installed: InstalledValue =
      switch value {
      case .bytes(let bytes): .bytes(bytes)
      case .integer(let number): .integer(number)
      case .list(_, .whole): .list(builder)
      case .list(_, .inParts): .list(partsBuilder)
      }
    try store.install(
      installed, key: key.key, slot: key.slot, database: key.database, version: key.version,
      expiry: key.expiry, accessClock: key.accessClock)
  }

  package func addElement(
    _ element: UnsafeRawBufferPointer, of key: ReplayKey, _ form: ListForm
  ) throws(Effect.Corruption) {
    guard element.count <= Store.valueBytesMax else { throw .outOfBounds }
    (form == .whole ? builder : partsBuilder).append(element)
  }

  // MARK: - Comparing

  /// A list of the store, and how far elements were compared with it.
  private struct ComparedList {
    let list: Store.ListView?
    var count = 0
    var differs = false

    mutating func compare(_ element: UnsafeRawBufferPointer) {
      if let list, count < list.count {
        if !list.element(at: count).elementsEqual(element) { differs = true }
      }
      count += 1
    }

    func matches(count: Int) -> Bool {
      list?.count == count && self.count == count && !differs
    }
  }

  package func compareElement(
    _ element: UnsafeRawBufferPointer, of key: ReplayKey, _ form: ListForm
  ) {
    switch form {
    case .whole:
      if compared == nil { compared = ComparedList(list: list(of: key)) }
      compared?.compare(element)
    case .inParts:
      if comparedParts == nil { comparedParts = ComparedList(list: list(of: key)) }
      comparedParts?.compare(element)
    }
  }

  private func list(of key: ReplayKey) -> Store.ListView? {
    place(of: key).flatMap { try? store.range(start: 0, stop: -1, at: $0) }
  }

  private func place(of key: ReplayKey) -> KeyPlace? {
    guard
      key.slot < store.slotCount, key.database < store.databaseCount,
      key.key.count <= Store.keyBytesMax
    else { return nil }
    return store.find(key.key, slot: key.slot, database: key.database, nowMillis: 0)
  }

  package func matches(_ value: ReplayValue, _ key: ReplayKey) -> Bool {
    guard let place = place(of: key), let facts = store.facts(at: place) else { return false }
    guard facts.version == key.version, place.expiry == key.expiry else { return false }
    switch value {
    case .list(let count, .whole):
      defer { compared = nil }
      return compared?.matches(count: count) ?? false
    case .list(let count, .inParts):
      defer { comparedParts = nil }
      return comparedParts?.matches(count: count) ?? false
    case .bytes(let bytes):
      guard facts.encoding != .integer, let found = try? store.string(at: place) else {
        return false
      }
      return found.bytes.elementsEqual(bytes)
    case .integer(let number):
      guard facts.encoding == .integer, let found = try? store.string(at: place) else {
        return false
      }
      return DecimalInteger.parse(found.bytes) == number
    }
  }

  package func keyCount(from: ImageCursor, to: ImageCursor) -> Int {
    var (cursor, count) = (from, 0)
    while cursor < to {
      cursor = store.image(from: cursor, keys: 1_000, bytes: .max) { entry in
        let isBefore = to.isBehind(
          slot: entry.slot, database: entry.database, hash: entry.hash, key: entry.key)
        if isBefore { count += 1 }
        return isBefore
      }
    }
    return count
  }
}

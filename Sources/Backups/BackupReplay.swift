// Where a shard's copy is merged into on its way out of the files again. To hold all of a shard in
// memory isn't needed: most keys are as their image says. Only those that the copy's log speaks of
// are kept until its end; the others leave in batches.
//
//   images of keys that the log speaks of, and effects --> `changed`, a store
//   other images ---------------------------------------> `batch`, a store, full now and then
//
// One thread.

internal import Log
internal import Store

/// The keys that a log speaks of, by a hash: another key with the same one is only kept longer.
struct ChangedKeys {
  private var keys: Set<UInt64> = []
  /// Tables that were emptied.
  private var tables: Set<Int> = []

  var count: Int { keys.count }

  mutating func add(_ effect: Effect, hash: UInt64) {
    if case .empty = effect.change {
      tables.insert(Self.table(effect.slot, effect.database))
    } else {
      keys.insert(Self.place(hash, effect.database))
    }
  }

  func contains(hash: UInt64, slot: Int, database: Int) -> Bool {
    keys.contains(Self.place(hash, database))
      || !tables.isEmpty && tables.contains(Self.table(slot, database))
  }

  private static func place(_ hash: UInt64, _ database: Int) -> UInt64 {
    hash &+ UInt64(truncatingIfNeeded: database) &* 0x9E37_79B9_7F4A_7C15
  }

  private static func table(_ slot: Int, _ database: Int) -> Int { database << 16 | slot }
}

final class BackupReplay: ReplayTarget {
  private let keys: ChangedKeys
  private let databases: Int
  /// Where the keys of a database go; one that isn't in it is left out. nil: all stay.
  private let places: [Int: Int]?
  let changed: Store
  private let changedReplay: StoreReplay
  private(set) var batch: Store
  private var batchReplay: StoreReplay
  /// For each form, whether the list whose elements come is one that the log speaks of.
  private var openLists: [ListForm: Bool] = [:]

  /// - Parameter databases: how many there are to place keys in.
  init(databases: Int, places: [Int: Int]?, _ keys: ChangedKeys) {
    self.keys = keys
    self.databases = databases
    self.places = places
    changed = Self.makeStore(databases)
    changedReplay = StoreReplay(into: changed)
    batch = Self.makeStore(databases)
    batchReplay = StoreReplay(into: batch)
  }

  static func makeStore(_ databases: Int) -> Store {
    Store(databaseCount: databases, slotCount: BackupFiles.slotCount)
  }

  /// Whether the batch may be taken: no list is half in it.
  var mayTake: Bool { openLists.isEmpty }

  func takeBatch() -> Store {
    let taken = batch
    batch = Self.makeStore(databases)
    batchReplay = StoreReplay(into: batch)
    return taken
  }

  private func isChanged(_ key: ReplayKey) -> Bool {
    keys.contains(hash: changed.hash(of: key.key), slot: key.slot, database: key.database)
  }

  private func replay(_ isChanged: Bool) -> StoreReplay { isChanged ? changedReplay : batchReplay }

  // MARK: - What is merged

  var end: ImageCursor { changed.imageEnd }

  /// The log of a copy has nothing of keys that an image is still to hold, so every effect is to be
  /// applied: it counts as on the first key of its table.
  func hash(of key: UnsafeRawBufferPointer) -> UInt64 { 0 }

  func prefetch(_ keys: UnsafeBufferPointer<KeyAhead>) {}

  func apply(_ effect: Effect) throws(Effect.Corruption) {
    if let placed = placed(effect) { try changedReplay.apply(placed) }
  }

  func emptyPart(_ effect: Effect) throws(Effect.Corruption) {
    if let placed = placed(effect) { try changedReplay.emptyPart(placed) }
  }

  private func place(_ database: Int) -> Int? {
    places.map { $0[database] } ?? database
  }

  private func placed(_ effect: Effect) -> Effect? {
    guard let database = place(effect.database) else { return nil }
    return Effect(
      database: database, slot: effect.slot, key: effect.key, version: effect.version,
      change: effect.change)
  }

  func skip(_ effect: Effect) throws(Effect.Corruption) { throw .missingKey }

  func reserve(keys: Int, slot: Int, database: Int) {}

  func install(_ value: ReplayValue, _ key: ReplayKey) throws(Effect.Corruption) {
    var target = isChanged(key)
    if case .list(_, let form) = value { target = openLists.removeValue(forKey: form) ?? target }
    guard let database = place(key.database) else { return }
    var key = key
    key.database = database
    try replay(target).install(value, key)
  }

  func addElement(
    _ element: UnsafeRawBufferPointer, of key: ReplayKey, _ form: ListForm
  ) throws(Effect.Corruption) {
    if place(key.database) == nil { return }
    let target = openLists[form] ?? isChanged(key)
    openLists[form] = target
    try replay(target).addElement(element, of: key, form)
  }

  func adopt(_ state: StateRecord) {}

  // A copy is never compared.
  func compareElement(_ element: UnsafeRawBufferPointer, of key: ReplayKey, _ form: ListForm) {}
  func matches(_ value: ReplayValue, _ key: ReplayKey) -> Bool { false }
  func keyCount(from: ImageCursor, to: ImageCursor) -> Int { 0 }
}

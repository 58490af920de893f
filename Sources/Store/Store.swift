// The engine of one shard: keys in tables per (database, slot), strings, integers and lists.
//
// It uses no sockets, disk or randomness, and no clock except the time that is passed in. One event
// loop owns a store and everything it returns; nothing here is Sendable. Reading order: Entry (a
// key's block), Places and Table (one slot's keys), TableDirectory (which table), Heap (every
// byte), then List, Piece and Chunk, Blob, and Garbage; KeyLookup (how a call finds its key),
// Effect and Store+Apply (changes), Expiry and Eviction (automatic changes).
//
// Bytes passed to a call must not be in memory of the same store: a call may free before it reads.

import TextForms

/// The keys of one shard.
///
/// Keys are 0 to 64 KiB of any bytes, values 0 to 64 MiB of any bytes. Sizes, slots and databases
/// are the caller's to check; here they are only asserted.
///
/// Versions increase by one with every write of a slot, deletions included, and count for all
/// databases together; so a key never has one version twice. Calls that change nothing assign no
/// version, and have no effect.
package final class Store {
  package enum StoreError: Error, Equatable {
    /// The key holds a value of another type.
    case wrongType
    /// The string is not the canonical decimal form of an Int64.
    case notAnInteger
    /// The sum doesn't fit into an Int64; nothing was changed.
    case integerOverflow
  }

  package enum ValueType: UInt8, Sendable {
    case none = 0
    case string = 1
    case list = 2
  }

  package enum ListEnd: Sendable {
    case head
    case tail
  }

  /// Bytes inside the store; good until the next call on it that finds or changes anything.
  package struct StringView {
    package let bytes: UnsafeRawBufferPointer
    package let version: UInt64
  }

  /// Longest key and value the layout is made for.
  package static let keyBytesMax = 64 * 1024
  package static let valueBytesMax = 64 * 1024 * 1024

  package let databaseCount: Int
  package let slotCount: Int

  let heap: Heap
  let hasher: KeyHasher
  let directory: TableDirectory
  let versions: UnsafeMutablePointer<UInt64>
  let keyCounts: UnsafeMutablePointer<Int>
  /// For each database, the keys that expire.
  let expiringCounts: UnsafeMutablePointer<Int>
  /// Keys with an expiry, in all databases, including expired keys that are not deleted yet.
  package internal(set) var expiringKeyCount = 0
  /// The number of keys deleted so far because they expired.
  package internal(set) var expiredKeyCount: Int64 = 0
  var expiryWalk = ExpiryWalk()
  /// The limit for `makeRoom`. The store itself refuses nothing.
  package var memoryLimit = MemoryLimit()
  /// Keys that were evicted, so far.
  package internal(set) var evictedKeyCount: Int64 = 0
  var evictionCandidates = EvictionCandidates()
  var evictionWalk = EvictionWalk()
  /// Where `get` writes the digits of an integer.
  let digits: UnsafeMutableRawPointer
  /// Holds bytes that a call reads after they have left their key.
  var leftover: Leftover?
  /// Where `replacedString` copies small values to.
  let replaced: UnsafeMutableRawPointer
  /// The argument of `reserve`, until the table has keys.
  var reservation: Reservation?
  let garbageLimits: Garbage.Limits
  /// Keys of the places a scan is at; empty between calls.
  var scanned: [ScannedKey] = []

  /// Whether new lists are recorded.
  package var notesNewLists = false {
    didSet { if !notesNewLists { _ = takeNewLists() } }
  }
  /// Lists created since the last call that took them, oldest first.
  private(set) var newLists: [StoredKey] = []
  /// Whether there are any.
  package private(set) var hasNewLists = false

  /// Gets every effect; at most one.
  package var observer: (any StoreObserver)?
  /// The group of effects that a call has begun and not ended.
  var openGroup: Group?
  #if DEBUG
    /// Grows with every change, so that the use of a place that is out of date is found.
    var changeCount: UInt64 = 0
  #endif

  enum Leftover {
    /// The chunk of the last popped element, if the list has released it.
    case chunk(Chunk)
    /// The value that is replaced or deleted.
    case blob(Blob)
  }

  struct Group {
    let slot: Int
    /// Whether the observer got an effect.
    var isTold = false
  }

  /// The first version in a store without a log: no version of an earlier process is repeated, if
  /// that process began earlier by the wall clock and wrote less than 2^14 times a millisecond to
  /// one slot. It is in milliseconds, because a process may be restarted within a second.
  package static func versionsBegin(unixMillis: Int64) -> UInt64 {
    UInt64(min(max(0, unixMillis), 1 << 42 - 1)) << 14
  }

  /// The minimum for a slot's next versions: its keys may have had versions on another shard.
  package func raiseVersions(ofSlot slot: Int, to floor: UInt64) {
    precondition(floor <= Entry.versionMax)
    versions[slot] = max(versions[slot], floor)
  }

  /// An empty store.
  /// - Parameters:
  ///   - hashSeed: orders the keys of a scan: the same for all shards of a cluster and across
  ///     restarts, or scan cursors become invalid. Secret if untrusted users choose keys.
  ///   - versionsBegin: the first version of every slot: not below any version that a key of this
  ///     store may have had in an earlier process.
  package convenience init(
    databaseCount: Int = 16, slotCount: Int = 16384, hashSeed: (UInt64, UInt64) = (0, 0),
    versionsBegin: UInt64 = 0
  ) {
    self.init(
      databaseCount: databaseCount, slotCount: slotCount, hashSeed: hashSeed,
      versionsBegin: versionsBegin, usesSlabs: true)
  }

  init(
    databaseCount: Int, slotCount: Int, hashSeed: (UInt64, UInt64), versionsBegin: UInt64 = 0,
    usesSlabs: Bool, garbageLimits: Garbage.Limits = Garbage.Limits()
  ) {
    precondition(databaseCount > 0 && slotCount > 0 && versionsBegin <= Entry.versionMax)
    self.garbageLimits = garbageLimits
    self.databaseCount = databaseCount
    self.slotCount = slotCount
    heap = Heap(usesSlabs: usesSlabs)
    hasher = KeyHasher(seed: hashSeed)
    directory = TableDirectory(databaseCount: databaseCount, slotCount: slotCount, heap: heap)
    versions = heap.allocate(slotCount * 8).bindMemory(to: UInt64.self, capacity: slotCount)
    versions.initialize(repeating: versionsBegin, count: slotCount)
    keyCounts = heap.allocate(databaseCount * 8).bindMemory(to: Int.self, capacity: databaseCount)
    keyCounts.initialize(repeating: 0, count: databaseCount)
    expiringCounts = heap.allocate(databaseCount * 8)
      .bindMemory(to: Int.self, capacity: databaseCount)
    expiringCounts.initialize(repeating: 0, count: databaseCount)
    digits = heap.allocate(DecimalInteger.digitsMax)
    replaced = heap.allocate(Entry.inlineMax)
    heap.reserve()
  }

  deinit {
    freeLeftovers()
    for database in 0..<databaseCount where keyCounts[database] > 0 {
      for slot in 0..<slotCount { detachTable(slot: slot, database: database) }
    }
    while collectGarbage(entries: .max) {}
    heap.isLeftAlone = true
    directory.free(heap)
    heap.free(versions, slotCount * 8)
    heap.free(keyCounts, databaseCount * 8)
    heap.free(expiringCounts, databaseCount * 8)
    heap.free(digits, DecimalInteger.digitsMax)
    heap.free(replaced, Entry.inlineMax)
  }

  // MARK: - Counts and memory

  /// Keys in a database, including expired keys that are not deleted yet. O(1).
  package func keyCount(database: Int) -> Int { keyCounts[database] }

  /// Keys of a slot in a database. O(1).
  package func keyCount(database: Int, slot: Int) -> Int {
    Int(directory.table(database: database, slot: slot)?.pointee.count ?? 0)
  }

  /// Keys in all databases. O(databases).
  package var totalKeyCount: Int {
    (0..<databaseCount).reduce(0) { $0 + keyCounts[$1] }
  }

  /// Bytes held from malloc, its headers and rounding included; not the few Swift objects (the
  /// store, views, a slice of a scan). Adopted blocks count completely. Invalidates the last popped
  /// element's bytes, like any call.
  package var memoryBytes: Int {
    freeLeftovers()
    return heap.heldBytes
  }

  /// The part of `memoryBytes` that is in use. The rest is free space in pages of small blocks,
  /// which later writes fill first; so a deletion reduces this at once, and `memoryBytes` page by
  /// page. Garbage counts until it is collected.
  package var usedBytes: Int {
    freeLeftovers()
    return heap.usedBytes
  }

  /// The part of `usedBytes` that only list views and pinned values hold, in whole chunks and
  /// blobs: data that was deleted or rewritten since. It decreases when they are released.
  package var pinnedBytes: Int {
    freeLeftovers()
    return heap.pinnedBytes
  }

  // MARK: - Versions

  /// The greatest version that a slot has assigned or installed. O(slots).
  package var versionMax: UInt64 {
    (0..<slotCount).reduce(0) { max($0, versions[$1]) }
  }

  /// Has all slots count on from a version, except for those that are past it. O(slots).
  package func raiseVersions(to version: UInt64) {
    for slot in 0..<slotCount { raiseVersion(to: version, slot: slot) }
  }

  /// Has a slot count on from a version, unless it is past it.
  package func raiseVersion(to version: UInt64, slot: Int) {
    precondition(version <= Entry.versionMax)
    versions[slot] = max(versions[slot], version)
  }

  // MARK: - New lists

  /// A key that held no list now holds one.
  @inline(never)
  func noteNewList(_ lookup: KeyLookup) {
    newLists.append(StoredKey(lookup.key, database: lookup.database))
    hasNewLists = true
  }

  /// Takes the keys of the lists created since the last call; a key may appear twice.
  package func takeNewLists() -> [StoredKey] {
    let keys = newLists
    newLists = []
    hasNewLists = false
    return keys
  }

  // MARK: - Shared by all calls

  /// Frees the memory that the last call returned. Each call begins with it.
  @inline(__always)
  func freeLeftovers() {
    if leftover != nil { freeLeftover() }
  }

  @inline(never)
  private func freeLeftover() {
    switch leftover {
    case .chunk(let chunk): chunk.releaseByList(heap)
    case .blob(let blob): blob.release(heap)
    case nil: break
    }
    leftover = nil
  }
}

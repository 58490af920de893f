// The only place of changes: every change of keys and values is an effect that is applied here.
// Calls, expiry and eviction decide; no other code of the store inserts, removes or writes an entry
// of a table. (Keys of images are installed separately: Store+Install.swift.)

import LargeMemory
import TextForms

extension Store {
  // MARK: - From a call

  /// Applies a call's change, with the slot's next version.
  /// - Parameter block: the block that contains a put's bytes, if it may be kept.
  /// - Returns: the version.
  @inline(__always)
  @discardableResult
  func change(
    _ place: KeyPlace, _ change: Effect.Change, in block: LargeBlock? = nil
  ) -> UInt64 {
    let version = versions[place.lookup.slot] &+ 1
    apply(change, at: place, version: version, in: block)
    return version
  }

  /// Makes all changes of `body` one group of effects; a change outside of it is a separate group.
  /// All must be in one slot.
  package func inOneGroup<R, Failure: Error>(
    slot: Int, _ body: () throws(Failure) -> R
  ) throws(Failure) -> R {
    precondition(openGroup == nil, "groups don't nest")
    openGroup = Group(slot: slot)
    defer {
      if openGroup?.isTold == true { observer?.groupEnded(slot: slot) }
      openGroup = nil
    }
    return try body()
  }

  // MARK: - From outside: a log, another node

  /// Applies an effect of another store. If it throws, nothing has changed.
  /// - Parameter usedMillis: when the key counts as used. Expiry isn't judged.
  package func apply(_ effect: Effect, usedMillis: Int64 = 0) throws(Effect.Corruption) {
    guard
      effect.slot >= 0, effect.slot < slotCount, effect.database >= 0,
      effect.key.count <= Store.keyBytesMax
    else { throw .outOfBounds }
    guard effect.database < databaseCount else { throw .noSuchDatabase(effect.database) }
    guard effect.version <= Entry.versionMax else { throw .outOfBounds }
    guard effect.version > versions[effect.slot] else {
      throw .versionNotAbove(versions[effect.slot])
    }
    if case .empty = effect.change {
      freeLeftovers()
      guard keyCount(database: effect.database, slot: effect.slot) > 0 else { throw .missingKey }
      applyEmpty(slot: effect.slot, database: effect.database, version: effect.version)
      return
    }
    let hash = effect.hash == 0 ? hasher.hash(effect.key) : effect.hash
    assert(hash == hasher.hash(effect.key), "another store's hash")
    freeLeftovers()
    let place = find(
      KeyLookup(
        key: effect.key, slot: effect.slot, database: effect.database, hash: hash,
        nowMillis: AccessClock.beforeExpiry(usedMillis)))
    try place.checkFits(effect.change)
    apply(effect.change, at: place, version: effect.version, in: nil)
  }

  // MARK: - Applying

  @inline(__always)
  private func apply(
    _ change: Effect.Change, at place: KeyPlace, version: UInt64, in block: LargeBlock?
  ) {
    check(place)
    assert(place.fits(change), "a call has decided on a state that isn't there")
    if observer != nil { tell(change, at: place, version: version) }
    began(version, of: place.lookup.slot)
    switch change {
    case .put(.bytes(let value), let expiry):
      put(value, at: place, version: version, expiry, in: block)
    case .put(.integer(let number), let expiry):
      put(number, at: place, version: version, expiry)
    case .write(let bytes, let offset, _):
      write(bytes, offset, at: place, version: version)
    case .expire(let expiry):
      setExpiry(expiry, at: place, version: version)
    case .delete:
      deleteEntry(at: place)
    case .insert(let values, let end, _):
      insert(values, at: place, end, version: version)
    case .remove(let count, let end, _):
      remove(count, at: place, end, version: version)
    case .insertWithin, .removeEach, .keep, .setElement:
      changeWithin(change, at: place, version: version)
    case .empty:
      preconditionFailure("of a slot, not of a key: applyEmpty")
    }
  }

  /// All keys of a slot in a database go, of which there is one at least.
  func applyEmpty(slot: Int, database: Int, version: UInt64) {
    if observer != nil {
      tell(
        Effect(
          database: database, slot: slot, key: UnsafeRawBufferPointer(start: nil, count: 0),
          version: version, change: .empty))
    }
    began(version, of: slot)
    detachTable(slot: slot, database: database)
  }

  @inline(__always)
  private func began(_ version: UInt64, of slot: Int) {
    versions[slot] = version
    #if DEBUG
      changeCount += 1
    #endif
  }

  @inline(never)
  private func tell(_ change: Effect.Change, at place: KeyPlace, version: UInt64) {
    let lookup = place.lookup
    tell(
      Effect(
        database: lookup.database, slot: lookup.slot, key: lookup.key, hash: lookup.hash,
        version: version, change: change))
  }

  private func tell(_ effect: Effect) {
    guard let observer else { return }
    observer.willApply(effect)
    if let group = openGroup {
      precondition(group.slot == effect.slot, "a group is of one slot")
      openGroup?.isTold = true
    } else {
      observer.groupEnded(slot: effect.slot)
    }
  }

  // MARK: - Strings

  @inline(__always)
  private func put(
    _ value: UnsafeRawBufferPointer, at place: KeyPlace, version: UInt64, _ expiry: Expiry,
    in block: LargeBlock?
  ) {
    if let number = DecimalInteger.parse(value) {
      put(number, at: place, version: version, expiry)
    } else if value.count <= Entry.inlineMax {
      let entry = entryToWrite(
        at: place, kind: .bytes, payloadCount: value.count, version: version, expiry)
      copyBytes(value, to: entry.payload)
    } else {
      let blob = blob(value, in: block)
      entryToWrite(at: place, kind: .blob, payloadCount: 16, version: version, expiry).blob = blob
    }
  }

  @inline(__always)
  private func put(_ number: Int64, at place: KeyPlace, version: UInt64, _ expiry: Expiry) {
    if let entry = place.entry, entry.kind == .integer, entry.expiry == expiry {
      entry.integer = number
      entry.setVersion(version)
    } else {
      entryToWrite(at: place, kind: .integer, payloadCount: 8, version: version, expiry)
        .integer = number
    }
  }

  @inline(never)
  private func write(
    _ bytes: UnsafeRawBufferPointer, _ offset: Int, at place: KeyPlace, version: UInt64
  ) {
    let old = place.entry.flatMap { self.bytes(of: $0) }
    let length = old?.count ?? 0
    withUnsafeTemporaryAllocation(
      byteCount: max(length, offset + bytes.count), alignment: 1
    ) { whole in
      if let old { whole.copyMemory(from: old) }
      if offset > length {
        UnsafeMutableRawBufferPointer(rebasing: whole[length..<offset])
          .initializeMemory(as: UInt8.self, repeating: 0)
      }
      UnsafeMutableRawBufferPointer(rebasing: whole[offset...]).copyMemory(from: bytes)
      put(UnsafeRawBufferPointer(whole), at: place, version: version, place.expiry, in: nil)
    }
  }

  func blob(_ value: UnsafeRawBufferPointer, in block: LargeBlock?) -> Blob {
    if let owned = OwnedBytes(value, in: block), owned.count >= owned.block.capacity / 4 * 3 {
      return Blob(on: heap, adopting: owned)
    }
    return Blob(on: heap, copyOf: value)
  }

  // MARK: - Lists

  private func insert(
    _ values: UnsafeBufferPointer<UnsafeRawBufferPointer>, at place: KeyPlace, _ end: ListEnd,
    version: UInt64
  ) {
    let entry: Entry
    if let found = place.entry {
      entry = found
      entry.setVersion(version)
    } else {
      entry = entryToWrite(at: place, kind: .list, payloadCount: 8, version: version, .never)
      entry.list = List(on: heap)
      if notesNewLists { noteNewList(place.lookup) }
    }
    var list = entry.list
    for value in values {
      assert(value.count <= Store.valueBytesMax)
      list.push(value, at: end, heap: heap)
    }
    entry.list = list
  }

  /// Of a single element that goes the bytes stay good until the next `freeLeftovers`.
  @inline(__always)
  private func remove(_ count: Int, at place: KeyPlace, _ end: ListEnd, version: UInt64) {
    guard let entry = place.entry else { return }
    guard count == 1 else { return removeMany(count, at: place, end, version: version) }
    var list = entry.list
    freeLeftovers()
    leftover = list.pop(at: end, heap: heap).leftover.map { .chunk($0) }
    if list.pieceCount == 0 {
      takeOut(place)
      list.freeEmpty(heap)
      heap.free(entry.base, entry.byteCount)
    } else {
      entry.list = list
      entry.setVersion(version)
    }
  }

  @inline(never)
  private func removeMany(_ count: Int, at place: KeyPlace, _ end: ListEnd, version: UInt64) {
    guard let entry = place.entry else { return }
    var list = entry.list
    if count == list.count { return deleteEntry(at: place) }
    free(list.drop(count, at: end, heap: heap), of: list)
    entry.list = list
    entry.setVersion(version)
  }

  // MARK: - Entries and tables

  /// The key's entry with its header written and space for the payload; memory of the old value
  /// outside the entry is freed. The entry doesn't move if the new one has the same block size.
  @inline(__always)
  private func entryToWrite(
    at place: KeyPlace, kind: Entry.Kind, payloadCount: Int, version: UInt64, _ expiry: Expiry
  ) -> Entry {
    guard let old = place.entry else {
      return newEntry(
        at: place, kind: kind, payloadCount: payloadCount, version: version, expiry)
    }
    if !old.isWhole { freeValue(of: old) }
    if old.expires || expiry != .never {
      noteExpiry(expiry, instead: old.expires, at: place)
    }
    let needed = Entry.bytes(
      key: old.keyCount, payload: payloadCount, expires: expiry != .never)
    if needed != old.byteCount, Heap.capacity(for: needed) != Heap.capacity(for: old.byteCount) {
      return movedEntry(
        at: place, kind: kind, payloadCount: payloadCount, version: version, expiry)
    }
    if old.payloadCount != payloadCount { old.setPayloadCount(payloadCount) }
    old.setHead(version, kind, expiry)
    return old
  }

  @inline(never)
  private func newEntry(
    at place: KeyPlace, kind: Entry.Kind, payloadCount: Int, version: UInt64, _ expiry: Expiry
  ) -> Entry {
    let lookup = place.lookup
    let entry = Entry(
      on: heap, key: lookup.key, kind: kind, payloadCount: payloadCount, version: version,
      expiry: expiry, clock: lookup.clock)
    add(entry, lookup)
    return entry
  }

  /// Puts an entry into its table, which has none of its key.
  /// - Parameter log2: the number of places of a new table, as a power of two.
  @inline(__always)
  func add(_ entry: Entry, _ lookup: KeyLookup, log2: UInt8 = Table.log2Min) {
    let table = directory.tableForInsertion(
      database: lookup.database, slot: lookup.slot, heap: heap)
    table.pointee.insert(
      entry, hash: lookup.hash, log2: log2, heap: heap, hasher: hasher,
      stepsFrom: garbageLimits.tableLog2)
    keyCounts[lookup.database] += 1
    if entry.expires { noteExpiry(entry.expiry, instead: false, of: table, lookup) }
  }

  /// A new entry instead of the one at the place.
  @inline(never)
  private func movedEntry(
    at place: KeyPlace, kind: Entry.Kind, payloadCount: Int, version: UInt64, _ expiry: Expiry
  ) -> Entry {
    let lookup = place.lookup
    let entry = Entry(
      on: heap, key: lookup.key, kind: kind, payloadCount: payloadCount, version: version,
      expiry: expiry, clock: lookup.clock)
    if let old = place.entry, let table = place.table {
      table.pointee.replace(at: place.index, with: entry, hash: lookup.hash)
      heap.free(old.base, old.byteCount)
    }
    return entry
  }

  // MARK: - Expiry

  /// The value stays: its part in the entry moves with it.
  private func setExpiry(_ expiry: Expiry, at place: KeyPlace, version: UInt64) {
    guard let old = place.entry else { return }
    noteExpiry(expiry, instead: old.expires, at: place)
    let (kind, count) = (old.kind, old.payloadCount)
    let needed = Entry.bytes(key: old.keyCount, payload: count, expires: expiry != .never)
    if Heap.capacity(for: needed) == Heap.capacity(for: old.byteCount) {
      let payload = old.payload
      let target = old.base + (needed - count)
      target.copyMemory(from: payload, byteCount: count)
      old.setHead(version, kind, expiry)
      return
    }
    let entry = Entry(
      on: heap, key: place.lookup.key, kind: kind, payloadCount: count, version: version,
      expiry: expiry, clock: old.clock)
    entry.payload.copyMemory(from: old.payload, byteCount: count)
    place.table?.pointee.replace(at: place.index, with: entry, hash: place.lookup.hash)
    heap.free(old.base, old.byteCount)
  }

  @inline(never)
  private func noteExpiry(_ expiry: Expiry, instead expired: Bool, at place: KeyPlace) {
    guard let table = place.table else { return }
    noteExpiry(expiry, instead: expired, of: table, place.lookup)
  }

  /// Counts a key that expires from now on, or not any more.
  /// - Parameter expired: whether it did before.
  private func noteExpiry(
    _ expiry: Expiry, instead expired: Bool, of table: UnsafeMutablePointer<Table>,
    _ lookup: KeyLookup
  ) {
    let more = (expiry == .never ? 0 : 1) - (expired ? 1 : 0)
    if more != 0 {
      table.pointee.expiringCount = UInt32(Int(table.pointee.expiringCount) + more)
      expiringCounts[lookup.database] += more
      expiringKeyCount += more
    }
    if expiry != .never {
      table.pointee.due = min(table.pointee.due, expiry)
    } else if table.pointee.expiringCount == 0 {
      table.pointee.due = .never
    }
  }

  private func deleteEntry(at place: KeyPlace) {
    guard let entry = place.entry else { return }
    takeOut(place)
    free(entry)
  }

  /// Takes the entry out of its table.
  private func takeOut(_ place: KeyPlace) {
    guard let table = place.table else { return }
    let lookup = place.lookup
    if place.entry?.expires == true { noteExpiry(.never, instead: true, at: place) }
    table.pointee.remove(
      at: place.index, hash: lookup.hash, heap: heap, hasher: hasher,
      stepsFrom: garbageLimits.tableLog2)
    keyCounts[lookup.database] -= 1
    directory.tableLost(
      1, database: lookup.database, slot: lookup.slot, isEmpty: table.pointee.count == 0,
      heap: heap)
  }

  /// Takes a table that has keys out of the directory and frees it, or puts it aside.
  func detachTable(slot: Int, database: Int) {
    guard let table = directory.table(database: database, slot: slot), table.pointee.count > 0
    else { return }
    let detached = table.pointee
    table.pointee = Table()
    keyCounts[database] -= Int(detached.count)
    expiringCounts[database] -= Int(detached.expiringCount)
    expiringKeyCount -= Int(detached.expiringCount)
    directory.tableLost(
      Int(detached.count), database: database, slot: slot, isEmpty: true, heap: heap)
    // Who empties slots empties many: their pages go back to the system, not only to malloc.
    heap.givesPagesBack = true
    free(detached)
    heap.givesPagesBack = false
  }
}

extension KeyPlace {
  /// Whether the place is in the state that a change builds on.
  func fits(_ change: Effect.Change) -> Bool {
    do throws(Effect.Corruption) {
      try checkFits(change)
      return true
    } catch {
      return false
    }
  }

  fileprivate func checkFits(_ change: Effect.Change) throws(Effect.Corruption) {
    switch change {
    case .put(.bytes(let value), _):
      guard value.count <= Store.valueBytesMax else { throw .outOfBounds }
    case .put(.integer, _):
      break
    case .write(let bytes, let offset, let lengthBefore):
      guard entry?.kind != .list else { throw .wrongType }
      let length = entry?.stringLength ?? 0
      guard length == lengthBefore else { throw .otherLength(length) }
      let (end, overflow) = offset.addingReportingOverflow(bytes.count)
      guard !bytes.isEmpty, offset >= 0, !overflow, end <= Store.valueBytesMax else {
        throw .outOfBounds
      }
    case .delete, .expire:
      guard entry != nil else { throw .missingKey }
    case .insert(let values, _, let lengthBefore):
      guard !values.isEmpty, values.allSatisfy({ $0.count <= Store.valueBytesMax }) else {
        throw .outOfBounds
      }
      try checkLength(lengthBefore)
    case .remove(let count, _, let lengthBefore):
      guard entry != nil else { throw .missingKey }
      try checkLength(lengthBefore)
      guard count >= 1, count <= lengthBefore else { throw .outOfBounds }
    case .insertWithin, .removeEach, .keep, .setElement:
      guard entry != nil else { throw .missingKey }
      try checkFitsWithin(change)
    case .empty:
      throw .outOfBounds
    }
  }

  func checkLength(_ lengthBefore: Int) throws(Effect.Corruption) {
    guard entry == nil || entry?.kind == .list else { throw .wrongType }
    let length = entry?.list.count ?? 0
    guard length == lengthBefore else { throw .otherLength(length) }
  }
}

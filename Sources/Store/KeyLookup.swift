// The look-up of a key, and its result. A call hashes its key once and looks it up once; it reads,
// decides and changes at the place.

/// What a key is looked up by. Its bytes are borrowed from the call.
package struct KeyLookup {
  package let key: UnsafeRawBufferPointer
  package let slot: Int
  package let database: Int
  /// The store's hash of the key.
  package let hash: UInt64
  /// The wall clock of the tick, in milliseconds since 1970: decides about expiry.
  package let nowMillis: Int64

  /// What the entry's clock becomes.
  @inline(__always)
  var clock: UInt32 { AccessClock.clock(atMillis: nowMillis) }
}

/// Where a key is, or that there is none: good until the next change of the store.
package struct KeyPlace {
  package let lookup: KeyLookup
  /// If there is an entry: its table, and the place there.
  let table: UnsafeMutablePointer<Table>?
  let index: Int
  let entry: Entry?
  #if DEBUG
    /// `Store.changeCount` when the place was found.
    let changeCount: UInt64
  #endif

  /// Type of the key's value, `none` if there is no such key.
  @inline(__always)
  package var type: Store.ValueType { entry?.valueType ?? .none }

  /// Version of the key's last write, 0 if there is no such key.
  package var version: UInt64 { entry?.version ?? 0 }

  /// Whether there is such a key, and it expires.
  @inline(__always)
  package var expires: Bool { entry?.expires ?? false }

  /// When the key expires; never if there is no such key.
  @inline(__always)
  package var expiry: Expiry { entry?.expiry ?? .never }
}

extension Store {
  /// What orders keys: the same for all stores of one hash seed.
  @inline(__always)
  package func hash(of key: UnsafeRawBufferPointer) -> UInt64 { hasher.hash(key) }

  /// What a key would be looked up by.
  @inline(__always)
  package func lookup(
    _ key: UnsafeRawBufferPointer, slot: Int, database: Int, nowMillis: Int64
  ) -> KeyLookup {
    KeyLookup(
      key: key, slot: slot, database: database, hash: hasher.hash(key), nowMillis: nowMillis)
  }

  /// The same, written where it stays: a copy of a struct this large waits for its stores.
  package func writeLookup(
    to place: UnsafeMutablePointer<KeyLookup>, _ key: UnsafeRawBufferPointer, slot: Int,
    database: Int, nowMillis: Int64
  ) {
    place.initialize(to: lookup(key, slot: slot, database: database, nowMillis: nowMillis))
  }

  /// The place of a key, which counts as used now. An expired key is deleted first, so it is
  /// missing. O(1) expected.
  /// - Parameter nowMillis: the wall clock of the tick.
  package func find(
    _ key: UnsafeRawBufferPointer, slot: Int, database: Int, nowMillis: Int64
  ) -> KeyPlace {
    freeLeftovers()
    return locate(lookup(key, slot: slot, database: database, nowMillis: nowMillis))
  }

  /// As `find`, for a key with a known hash.
  package func find(_ lookup: KeyLookup) -> KeyPlace {
    freeLeftovers()
    return locate(lookup)
  }

  /// In both, not called by one from the other: a place is large, and to hand it on costs 40
  /// instructions a look-up.
  @inline(__always)
  private func locate(_ lookup: KeyLookup) -> KeyPlace {
    let (slot, database) = (lookup.slot, lookup.database)
    assert(lookup.key.count <= Store.keyBytesMax)
    assert(slot >= 0 && slot < slotCount && database >= 0 && database < databaseCount)
    guard
      let table = directory.table(database: database, slot: slot),
      let index = table.pointee.place(of: lookup.key, hash: lookup.hash)
    else { return place(of: lookup, table: nil, index: 0, entry: nil) }
    let entry = table.pointee.entry(at: index, hash: lookup.hash)
    entry.clock = lookup.clock
    let place = place(of: lookup, table: table, index: index, entry: entry)
    return entry.expires ? live(place, entry) : place
  }

  @inline(never)
  private func live(_ place: KeyPlace, _ entry: Entry) -> KeyPlace {
    guard entry.expiry.isDue(at: place.lookup.nowMillis) else { return place }
    expiredKeyCount += 1
    change(place, .delete)
    return self.place(of: place.lookup, table: nil, index: 0, entry: nil)
  }

  @inline(__always)
  func place(
    of lookup: KeyLookup, table: UnsafeMutablePointer<Table>?, index: Int, entry: Entry?
  ) -> KeyPlace {
    #if DEBUG
      KeyPlace(
        lookup: lookup, table: table, index: index, entry: entry, changeCount: changeCount)
    #else
      KeyPlace(lookup: lookup, table: table, index: index, entry: entry)
    #endif
  }

  /// Every use of a place begins with it.
  @inline(__always)
  func check(_ place: KeyPlace) {
    #if DEBUG
      precondition(place.changeCount == changeCount, "the store has changed since the look-up")
    #endif
  }
}

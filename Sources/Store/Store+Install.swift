// Bulk installation of keys from images: with version, expiry and access clock. The observer isn't
// called, because the data was there before and hasn't changed.

import TextForms

/// A value to install. Bytes are borrowed.
package enum InstalledValue {
  case bytes(UnsafeRawBufferPointer)
  case integer(Int64)
  /// The elements of the builder, at least one; the builder is empty afterwards.
  case list(Store.ListBuilder)
}

/// How many keys a table will get.
struct Reservation {
  let database: Int
  let slot: Int
  let log2: UInt8
}

extension Store {
  /// Sets how many keys will be installed in an empty table, so that it is created large enough.
  /// Valid for one table, until a key is installed there.
  package func reserve(keys: Int, slot: Int, database: Int) {
    reservation = Reservation(database: database, slot: slot, log2: Places.log2(for: keys))
  }

  /// Installs a missing key. It may have expired: replay doesn't check expiry. The slot's versions
  /// continue after the key's. Amortised O(1) plus the copy of the value.
  /// - Parameter accessClock: when a call has used the key last.
  /// - Throws: if the key can't be from an image of such a store; then nothing has changed.
  package func install(
    _ value: InstalledValue, key: UnsafeRawBufferPointer, slot: Int, database: Int,
    version: UInt64, expiry: Expiry, accessClock: UInt32
  ) throws(Effect.Corruption) {
    freeLeftovers()
    guard
      slot >= 0, slot < slotCount, database >= 0, key.count <= Store.keyBytesMax,
      version <= Entry.versionMax, value.isInBounds
    else { throw .outOfBounds }
    guard database < databaseCount else { throw .noSuchDatabase(database) }
    let lookup = lookup(key, slot: slot, database: database, nowMillis: 0)
    if find(lookup).entry != nil { throw .existingKey }
    let entry = makeEntry(value, lookup, version, expiry, accessClock)
    add(entry, lookup, log2: takeReservation(slot: slot, database: database))
    raiseVersion(to: version, slot: slot)
    if notesNewLists, entry.kind == .list { noteNewList(lookup) }
    #if DEBUG
      changeCount += 1
    #endif
  }

  private func takeReservation(slot: Int, database: Int) -> UInt8 {
    guard let reservation, reservation.slot == slot, reservation.database == database else {
      return Table.log2Min
    }
    self.reservation = nil
    return reservation.log2
  }

  private func makeEntry(
    _ value: InstalledValue, _ lookup: KeyLookup, _ version: UInt64, _ expiry: Expiry,
    _ clock: UInt32
  ) -> Entry {
    func entry(_ kind: Entry.Kind, _ payloadCount: Int) -> Entry {
      Entry(
        on: heap, key: lookup.key, kind: kind, payloadCount: payloadCount, version: version,
        expiry: expiry, clock: clock)
    }
    switch value {
    case .bytes(let bytes):
      if let number = DecimalInteger.parse(bytes) {
        return makeEntry(.integer(number), lookup, version, expiry, clock)
      }
      if bytes.count <= Entry.inlineMax {
        let entry = entry(.bytes, bytes.count)
        copyBytes(bytes, to: entry.payload)
        return entry
      }
      let entry = entry(.blob, 16)
      entry.blob = blob(bytes, in: nil)
      return entry
    case .integer(let number):
      let entry = entry(.integer, 8)
      entry.integer = number
      return entry
    case .list(let builder):
      let entry = entry(.list, 8)
      entry.list = builder.take() ?? List(on: heap)
      return entry
    }
  }
}

extension InstalledValue {
  fileprivate var isInBounds: Bool {
    switch self {
    case .bytes(let bytes): bytes.count <= Store.valueBytesMax
    case .integer: true
    case .list(let builder): builder.count > 0
    }
  }
}

extension Places {
  /// The number of places for a number of keys, as a power of two.
  static func log2(for keys: Int) -> UInt8 {
    var log2 = Table.log2Min
    while log2 < 40, countMax(1 << Int(log2)) < keys { log2 += 1 }
    return log2
  }
}

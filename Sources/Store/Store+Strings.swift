// Strings: bytes in the entry, a canonical Int64 as a number, large values in their own block.

import LargeMemory

extension Store {
  /// The value of a string key, nil where there is no such key. O(1), no copy, no allocation.
  package func get(
    _ key: UnsafeRawBufferPointer, slot: Int, database: Int
  ) throws(StoreError) -> StringView? {
    settle()
    guard let entry = find(key, slot: slot, database: database) else { return nil }
    let bytes: UnsafeRawBufferPointer
    switch entry.kind {
    case .bytes:
      bytes = UnsafeRawBufferPointer(start: entry.payload, count: entry.payloadCount)
    case .integer:
      let count = DecimalInteger.format(entry.integer, into: digits)
      bytes = UnsafeRawBufferPointer(start: digits, count: count)
    case .blob:
      bytes = entry.blob.bytes
    case .list:
      throw .wrongType
    }
    return StringView(bytes: bytes, version: entry.version)
  }

  /// Makes the key a string, whatever it was. Amortised O(1) plus the copy.
  /// - Parameter block: the block that `value` lies in, if it may be kept; nobody writes to it any
  ///   more. Where the value is three quarters of it or more, it is adopted and nothing is copied;
  ///   else a small value would keep a large block alive.
  /// - Returns: the version of the write.
  package func set(
    _ key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer, in block: LargeBlock? = nil,
    slot: Int, database: Int
  ) -> UInt64 {
    settle()
    check(key, slot, database)
    assert(value.count <= Store.valueBytesMax)
    let version = nextVersion(slot)
    if let number = DecimalInteger.parse(value) {
      let entry = entryToWrite(
        key, kind: .integer, payloadCount: 8, version: version, slot: slot, database: database)
      entry.integer = number
    } else if value.count <= Entry.inlineMax {
      let entry = entryToWrite(
        key, kind: .bytes, payloadCount: value.count, version: version, slot: slot,
        database: database)
      copyBytes(value, to: entry.payload)
    } else {
      let blob = blob(value, in: block)
      let entry = entryToWrite(
        key, kind: .blob, payloadCount: 16, version: version, slot: slot, database: database)
      entry.blob = blob
    }
    return version
  }

  private func blob(_ value: UnsafeRawBufferPointer, in block: LargeBlock?) -> Blob {
    if let owned = OwnedBytes(value, in: block), owned.count >= owned.block.capacity / 4 * 3 {
      return Blob(on: heap, adopting: owned)
    }
    return Blob(on: heap, copyOf: value)
  }

  /// Adds `delta` to the integer of a key; a missing key counts as 0. Amortised O(1).
  package func incrBy(
    _ key: UnsafeRawBufferPointer, delta: Int64, slot: Int, database: Int
  ) throws(StoreError) -> (value: Int64, version: UInt64) {
    settle()
    guard let entry = find(key, slot: slot, database: database) else {
      let version = nextVersion(slot)
      let entry = entryToWrite(
        key, kind: .integer, payloadCount: 8, version: version, slot: slot, database: database)
      entry.integer = delta
      return (delta, version)
    }
    switch entry.kind {
    case .bytes, .blob: throw .notAnInteger
    case .list: throw .wrongType
    case .integer: break
    }
    let (sum, overflows) = entry.integer.addingReportingOverflow(delta)
    if overflows { throw .integerOverflow }
    let version = nextVersion(slot)
    entry.integer = sum
    entry.setVersion(version, kind: .integer)
    return (sum, version)
  }

  /// The key's entry with its head written and room for the payload; what the old value had outside
  /// the entry is freed. The entry stays where it is if the new payload takes a block of like size.
  func entryToWrite(
    _ key: UnsafeRawBufferPointer, kind: Entry.Kind, payloadCount: Int, version: UInt64,
    slot: Int, database: Int
  ) -> Entry {
    let hash = hasher.hash(key)
    if let table = directory.table(database: database, slot: slot),
      let place = table.pointee.place(of: key, hash: hash)
    {
      let old = table.pointee.entry(at: place)
      freeValue(of: old)
      let needed = Entry.headerBytes + key.count + payloadCount
      if Heap.capacity(for: needed) == Heap.capacity(for: old.byteCount) {
        old.setPayloadCount(payloadCount)
        old.setVersion(version, kind: kind)
        return old
      }
      let entry = Entry(
        on: heap, key: key, kind: kind, payloadCount: payloadCount, version: version)
      table.pointee.replace(at: place, with: entry, hash: hash)
      heap.free(old.base, old.byteCount)
      return entry
    }
    let entry = Entry(
      on: heap, key: key, kind: kind, payloadCount: payloadCount, version: version)
    insert(entry, hash: hash, slot: slot, database: database)
    return entry
  }
}

// Lists: pushes and pops at both ends, length, and views of a range. Long elements without a copy
// are in Store+Pinned.swift.

extension Store {
  /// Adds values one after another at one end: a push of 1, 2, 3 at the head leaves 3, 2, 1.
  /// An empty sequence changes nothing and makes no key. Amortised O(1) a value plus its copy.
  /// - Returns: the new length, and the version of the write (of the last one if there was nothing
  ///   to add, 0 without a key).
  package func push(
    _ key: UnsafeRawBufferPointer, end: ListEnd, slot: Int, database: Int,
    values: some Sequence<UnsafeRawBufferPointer>
  ) throws(StoreError) -> (length: Int, version: UInt64) {
    var iterator = values.makeIterator()
    guard let first = iterator.next() else {
      return try lengthAndVersion(key, slot: slot, database: database)
    }
    let entry = try pushFirst(first, key, end: end, slot: slot, database: database)
    while let value = iterator.next() { pushMore(value, to: entry, end: end) }
    return lengthAndVersion(of: entry)
  }

  /// Adds one value at one end, as `push` of a sequence does, without the cost of a generic call.
  /// Amortised O(1) plus the copy.
  package func push(
    _ key: UnsafeRawBufferPointer, end: ListEnd, slot: Int, database: Int,
    value: UnsafeRawBufferPointer
  ) throws(StoreError) -> (length: Int, version: UInt64) {
    lengthAndVersion(of: try pushFirst(value, key, end: end, slot: slot, database: database))
  }

  /// Removes and returns the outermost element; with the last one the key goes. Amortised O(1).
  /// - Returns: the element, and the version of this write; nil where there is no such key.
  package func pop(
    _ key: UnsafeRawBufferPointer, end: ListEnd, slot: Int, database: Int
  ) throws(StoreError) -> StringView? {
    settle()
    guard let found = try placeOfList(key, slot: slot, database: database) else { return nil }
    return popOutermost(found, end: end, slot: slot, database: database)
  }

  /// Length of a list, nil where there is no such key. O(1).
  package func listLength(
    _ key: UnsafeRawBufferPointer, slot: Int, database: Int
  ) throws(StoreError) -> Int? {
    try listEntry(key, slot: slot, database: database)?.list.count
  }

  /// The elements from `start` to `stop`, both included; from 0, negative ones from the end, out of
  /// range is clamped, all as in Redis. Copies no element: O(log chunks + chunks of the range).
  /// - Returns: the view, empty if no element is in the range; nil where there is no such key.
  package func range(
    _ key: UnsafeRawBufferPointer, start: Int64, stop: Int64, slot: Int, database: Int
  ) throws(StoreError) -> ListView? {
    guard let entry = try listEntry(key, slot: slot, database: database) else { return nil }
    let list = entry.list
    let range = Store.clamp(start: start, stop: stop, length: list.count)
    return ListView(list, range, version: entry.version, heap: heap)
  }

  /// Redis's inclusive bounds as a range of indices that are all there.
  static func clamp(start: Int64, stop: Int64, length: Int) -> Range<Int> {
    func index(_ bound: Int64) -> Int {
      if bound >= 0 { return Int(min(bound, Int64(length))) }
      return max(-1, Int(max(bound, -Int64(length) - 1)) + length)
    }
    let first = max(0, index(start))
    let end = min(length, index(stop) + 1)
    return first..<max(first, end)
  }

  // MARK: - Pushing

  /// Makes the list where there is none, and pushes the first value.
  private func pushFirst(
    _ value: UnsafeRawBufferPointer, _ key: UnsafeRawBufferPointer, end: ListEnd, slot: Int,
    database: Int
  ) throws(StoreError) -> Entry {
    if let entry = try listEntry(key, slot: slot, database: database) {
      pushMore(value, to: entry, end: end)
      entry.setVersion(nextVersion(slot), kind: .list)
      return entry
    }
    let entry = entryToWrite(
      key, kind: .list, payloadCount: 8, version: nextVersion(slot), slot: slot,
      database: database)
    entry.list = List(on: heap)
    pushMore(value, to: entry, end: end)
    return entry
  }

  private func pushMore(_ value: UnsafeRawBufferPointer, to entry: Entry, end: ListEnd) {
    assert(value.count <= Store.valueBytesMax)
    var list = entry.list
    list.push(value, at: end, heap: heap)
    entry.list = list
  }

  private func lengthAndVersion(of entry: Entry) -> (length: Int, version: UInt64) {
    (entry.list.count, entry.version)
  }

  private func lengthAndVersion(
    _ key: UnsafeRawBufferPointer, slot: Int, database: Int
  ) throws(StoreError) -> (length: Int, version: UInt64) {
    guard let entry = try listEntry(key, slot: slot, database: database) else { return (0, 0) }
    return lengthAndVersion(of: entry)
  }

  func listEntry(
    _ key: UnsafeRawBufferPointer, slot: Int, database: Int
  ) throws(StoreError) -> Entry? {
    settle()
    guard let entry = find(key, slot: slot, database: database) else { return nil }
    guard entry.kind == .list else { throw .wrongType }
    return entry
  }

  // MARK: - Popping

  /// A list's entry, and where the table has it, for a call that may remove it.
  struct ListPlace {
    let table: UnsafeMutablePointer<Table>
    let place: Int
    let entry: Entry
  }

  @inline(__always)
  func placeOfList(
    _ key: UnsafeRawBufferPointer, slot: Int, database: Int
  ) throws(StoreError) -> ListPlace? {
    check(key, slot, database)
    guard
      let table = directory.table(database: database, slot: slot),
      let place = table.pointee.place(of: key, hash: hasher.hash(key))
    else { return nil }
    let entry = table.pointee.entry(at: place)
    guard entry.kind == .list else { throw .wrongType }
    return ListPlace(table: table, place: place, entry: entry)
  }

  /// Removes the outermost element, and the key with the last one. The bytes are good until the
  /// next `settle`.
  @inline(__always)
  func popOutermost(_ found: ListPlace, end: ListEnd, slot: Int, database: Int) -> StringView {
    let entry = found.entry
    let version = nextVersion(slot)
    var list = entry.list
    let popped = list.pop(at: end, heap: heap)
    leftover = popped.leftover
    if list.pieceCount == 0 {
      remove(at: found.place, of: found.table, slot: slot, database: database)
      list.freeEmpty(heap)
      heap.free(entry.base, entry.byteCount)
    } else {
      entry.list = list
      entry.setVersion(version, kind: .list)
    }
    return StringView(bytes: popped.bytes, version: version)
  }
}

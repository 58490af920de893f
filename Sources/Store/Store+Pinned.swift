// Large values without a copy: a string or a popped element that a caller holds while it answers.

extension Store {
  /// Holds the value of a string key where it lies. O(1), no copy.
  /// - Returns: nil where there is no such key, and where its value is not in a block of its own
  ///   (up to 2 KiB, numbers): `get` tells which.
  package func pinnedValue(
    _ key: UnsafeRawBufferPointer, slot: Int, database: Int
  ) throws(StoreError) -> PinnedBytes? {
    settle()
    guard let entry = find(key, slot: slot, database: database) else { return nil }
    switch entry.kind {
    case .bytes, .integer: return nil
    case .blob: return PinnedBytes(entry.blob, version: entry.version, heap: heap)
    case .list: throw .wrongType
    }
  }

  /// Bytes of a list's outermost element, nil where there is no such key. O(1).
  package func peekLength(
    _ key: UnsafeRawBufferPointer, end: ListEnd, slot: Int, database: Int
  ) throws(StoreError) -> Int? {
    try listEntry(key, slot: slot, database: database)?.list.outermost(at: end).count
  }

  /// Removes the outermost element if it is longer than `bytes`, and holds it where it lies: for a
  /// shorter one, and where there is no such key, nothing is done (`pop` then copies less than a
  /// hold costs). The hold is on the element's chunk: one above 16 KiB has a chunk to itself but
  /// for a few bytes, a shorter one keeps up to 16 KiB of its neighbours. With the last element the
  /// key goes. Amortised O(1).
  /// - Returns: the element, its version that of this write; nil if nothing was done.
  package func popPinned(
    _ key: UnsafeRawBufferPointer, end: ListEnd, slot: Int, database: Int,
    longerThan bytes: Int
  ) throws(StoreError) -> PinnedBytes? {
    settle()
    guard let found = try placeOfList(key, slot: slot, database: database) else { return nil }
    let outermost = found.entry.list.outermost(at: end)
    guard outermost.count > bytes, let start = outermost.baseAddress else { return nil }
    let chunk = found.entry.list.outermostChunk(at: end)
    chunk.retain()
    let version = popOutermost(found, end: end, slot: slot, database: database).version
    return PinnedBytes(
      start: start, count: outermost.count, takingOver: chunk, version: version, heap: heap)
  }
}

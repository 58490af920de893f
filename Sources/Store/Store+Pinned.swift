// Large values without a copy: a string or a popped element that is held for a reply.

extension Store {
  /// Holds the value of a string key in place. O(1), no copy.
  /// - Returns: nil if there is no such key, and if its value is not in a separate block (up to
  ///   2 KiB, numbers): `string` has it.
  package func pinnedString(at place: KeyPlace) throws(StoreError) -> PinnedBytes? {
    check(place)
    guard let entry = place.entry else { return nil }
    switch entry.kind {
    case .bytes, .integer: return nil
    case .blob: return PinnedBytes(entry.blob, version: entry.version, heap: heap)
    case .list: throw .wrongType
    }
  }

  /// Holds a whole list in place. O(1), and the next change of the list copies its ring: 24 bytes a
  /// chunk.
  /// - Returns: nil if there is no such key.
  package func pinnedList(at place: KeyPlace) throws(StoreError) -> PinnedList? {
    try list(at: place)?.pinned(heap)
  }

  /// Holds a list element that was just found, in place. O(log chunks), no copy. It holds its
  /// chunk, as with `popPinned`.
  /// - Returns: nil if the key holds no list.
  package func pinnedElement(_ element: StringView, at index: Int64, at place: KeyPlace)
    -> PinnedBytes?
  {
    check(place)
    guard let list = try? list(at: place), let index = Store.index(index, length: list.count),
      let start = element.bytes.baseAddress
    else { return nil }
    let chunk = list.chunk(at: index)
    chunk.retain()
    return PinnedBytes(
      start: start, count: element.bytes.count, takingOver: chunk, version: element.version,
      heap: heap)
  }

  /// Removes the outermost element as `pop` does, and holds it in place, which costs more than
  /// copying a short one. It holds the element's chunk: an element above 16 KiB has nearly a whole
  /// chunk, a shorter one keeps up to 16 KiB of its neighbours. Amortised O(1).
  /// - Returns: the element, its version that of this write; nil if there is no such key.
  package func popPinned(_ end: ListEnd, at place: KeyPlace) throws(StoreError) -> PinnedBytes? {
    guard let list = try list(at: place) else { return nil }
    let outermost = list.outermost(at: end)
    // It is in a chunk, so it has an address, even if it is empty.
    let start = outermost.baseAddress.unsafelyUnwrapped
    let chunk = list.outermostChunk(at: end)
    chunk.retain()
    let version = change(place, .remove(count: 1, at: end, lengthBefore: list.count))
    return PinnedBytes(
      start: start, count: outermost.count, takingOver: chunk, version: version, heap: heap)
  }
}

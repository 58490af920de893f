// Lists: pushes and pops at both ends, length, and views of a range. Long elements without a copy
// are in Store+Pinned.swift.

extension Store {
  /// Adds values one after another at one end: a push of 1, 2, 3 at the head leaves 3, 2, 1.
  /// Without values nothing changes and no key is created. Amortised O(1) a value plus its copy.
  /// - Returns: the new length, and the version of the write (of the last one if there was nothing
  ///   to add, 0 without a key).
  package func push(
    _ values: UnsafeBufferPointer<UnsafeRawBufferPointer>, _ end: ListEnd, at place: KeyPlace
  ) throws(StoreError) -> (length: Int, version: UInt64) {
    let length = try listLength(at: place) ?? 0
    guard !values.isEmpty else { return (length, place.version) }
    let version = change(place, .insert(values, at: end, lengthBefore: length))
    return (length &+ values.count, version)
  }

  /// Adds one value at one end.
  package func push(
    _ value: UnsafeRawBufferPointer, _ end: ListEnd, at place: KeyPlace
  ) throws(StoreError) -> (length: Int, version: UInt64) {
    try withUnsafePointer(to: value) { (value) throws(StoreError) in
      try push(UnsafeBufferPointer(start: value, count: 1), end, at: place)
    }
  }

  /// The outermost element, nil if there is no such key: what `pop` would return. O(1).
  package func outermost(
    _ end: ListEnd, at place: KeyPlace
  ) throws(StoreError) -> UnsafeRawBufferPointer? {
    try list(at: place)?.outermost(at: end)
  }

  /// Removes and returns the outermost element; with the last one the key goes. Amortised O(1).
  /// - Returns: the element, and the version of this write; nil if there is no such key.
  package func pop(_ end: ListEnd, at place: KeyPlace) throws(StoreError) -> StringView? {
    guard let list = try list(at: place) else { return nil }
    // The bytes outlive the change until the next `freeLeftovers`.
    let bytes = list.outermost(at: end)
    let version = change(place, .remove(count: 1, at: end, lengthBefore: list.count))
    return StringView(bytes: bytes, version: version)
  }

  /// The outermost elements in the order of `removeOutermost`: from the tail the last one first.
  /// Copies no element: O(chunks).
  /// - Returns: a view of `count` of them, or of all; nil if there is no such key.
  package func outermost(
    _ count: Int, _ end: ListEnd, at place: KeyPlace
  ) throws(StoreError) -> ListView? {
    guard let list = try list(at: place) else { return nil }
    let taken = min(count, list.count)
    let range = end == .head ? 0..<taken : list.count - taken..<list.count
    return ListView(list, range, isReversed: end == .tail, version: place.version, heap: heap)
  }

  /// Removes the outermost elements; with the last one the key is removed. O(chunks).
  /// - Returns: the version of the write.
  package func removeOutermost(_ count: Int, _ end: ListEnd, at place: KeyPlace) -> UInt64 {
    let length = place.entry?.list.count ?? 0
    return change(place, .remove(count: count, at: end, lengthBefore: length))
  }

  /// Length of a list, nil if there is no such key. O(1).
  package func listLength(at place: KeyPlace) throws(StoreError) -> Int? {
    try list(at: place)?.count
  }

  /// The elements from `start` to `stop`, both included; from 0, negative ones from the end, out of
  /// range is clamped, all as in Redis. Copies no element: O(log chunks + chunks of the range).
  /// - Returns: the view, empty if no element is in the range; nil if there is no such key.
  package func range(
    start: Int64, stop: Int64, at place: KeyPlace
  ) throws(StoreError) -> ListView? {
    guard let list = try list(at: place) else { return nil }
    let range = Store.clamp(start: start, stop: stop, length: list.count)
    return ListView(list, range, version: place.version, heap: heap)
  }

  /// Redis's inclusive bounds as a range of existing indices.
  static func clamp(start: Int64, stop: Int64, length: Int) -> Range<Int> {
    func index(_ bound: Int64) -> Int {
      if bound >= 0 { return Int(min(bound, Int64(length))) }
      return max(-1, Int(max(bound, -Int64(length) - 1)) + length)
    }
    let first = max(0, index(start))
    let end = min(length, index(stop) + 1)
    return first..<max(first, end)
  }

  /// The place of an index, which may count from the end as in Redis; nil if there is none.
  static func index(_ index: Int64, length: Int) -> Int? {
    if index >= 0 { return index < length ? Int(index) : nil }
    return index >= -Int64(length) ? length + Int(index) : nil
  }

  @inline(__always)
  func list(at place: KeyPlace) throws(StoreError) -> List? {
    check(place)
    guard let entry = place.entry else { return nil }
    guard entry.kind == .list else { throw .wrongType }
    return entry.list
  }
}

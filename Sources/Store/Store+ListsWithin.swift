// Lists: operations with an index, and trimming.

extension Store {
  /// The element at an index, which from -1 down counts from the end. O(log chunks).
  /// - Returns: nil if there is no such key or no such element.
  package func element(
    at index: Int64, at place: KeyPlace
  ) throws(StoreError) -> StringView? {
    guard let list = try list(at: place), let index = Store.index(index, length: list.count)
    else { return nil }
    return StringView(bytes: list.element(at: index), version: place.version)
  }

  /// Puts another value in the place of an element. O(log chunks), and one chunk is rewritten.
  /// - Returns: the list's length, and the version of the write; nil if there is no such key or no
  ///   such element.
  package func setElement(
    _ value: UnsafeRawBufferPointer, at index: Int64, at place: KeyPlace
  ) throws(StoreError) -> (length: Int, version: UInt64)? {
    guard let list = try list(at: place), let index = Store.index(index, length: list.count)
    else { return nil }
    let length = list.count
    return (length, change(place, .setElement(value, at: index, lengthBefore: length)))
  }

  /// Keeps the elements from `start` to `stop`, as for `range`; the key is removed if none remains.
  /// O(removed chunks).
  /// - Returns: the remaining length, and the version of the write, or of the last one if nothing
  ///   changed.
  package func trim(
    start: Int64, stop: Int64, at place: KeyPlace
  ) throws(StoreError) -> (length: Int, version: UInt64) {
    guard let length = try listLength(at: place) else { return (0, 0) }
    let range = Store.clamp(start: start, stop: stop, length: length)
    if range.isEmpty { return (0, change(place, .delete)) }
    if range.count == length { return (length, place.version) }
    return (range.count, change(place, .keep(range, lengthBefore: length)))
  }

  /// Adds a value before the element at an index, 0 ... length; at the length after the last.
  /// O(chunks), and one chunk is rewritten.
  /// - Returns: the new length, and the version of the write; nil if there is no such key.
  package func insertElement(
    _ value: UnsafeRawBufferPointer, before index: Int, at place: KeyPlace
  ) throws(StoreError) -> (length: Int, version: UInt64)? {
    guard let length = try listLength(at: place) else { return nil }
    guard index > 0, index < length else {
      return try push(value, index > 0 ? .tail : .head, at: place)
    }
    let version = change(place, .insertWithin(value, before: index, lengthBefore: length))
    return (length + 1, version)
  }

  /// Removes elements, of which at least one is named; with the last one the key goes. O(elements
  /// of the chunks concerned + chunks).
  /// - Parameter indices: in rising order, each 0 ..< length.
  /// - Returns: the version of the write; nil if there is no such key.
  package func removeElements(
    _ indices: [Int], at place: KeyPlace
  ) throws(StoreError) -> UInt64? {
    guard let length = try listLength(at: place) else { return nil }
    if indices.count == length { return change(place, .delete) }
    return indices.withUnsafeBufferPointer {
      change(place, .removeEach($0, lengthBefore: length))
    }
  }
}

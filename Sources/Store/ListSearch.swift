// A search of a list for the elements that are equal to a value, in parts: a complete search of a
// long list would block everything else. Its result is valid for one version of the list; if that
// has changed, the search starts again.
//
// A value; the thread of the store.

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// The progress of a search, and its matches.
package struct ListSearch {
  /// Where it begins.
  package let end: Store.ListEnd
  /// How many elements it looks at, at most.
  private let elementsMax: Int
  /// The maximum number of matches, after the skipped ones.
  private let foundMax: Int
  private let passedOver: Int
  /// The indices found, in the order in which they were.
  package private(set) var found: [Int] = []

  private var passed = 0
  private var looked = 0
  private var version: UInt64 = 0

  /// - Parameters:
  ///   - passingOver: how many equal elements don't count.
  ///   - foundMax: the number of matches at which the search ends.
  ///   - elementsMax: the number of elements after which it ends.
  package init(
    from end: Store.ListEnd, passingOver passedOver: Int = 0, foundMax: Int = .max,
    elementsMax: Int = .max
  ) {
    self.end = end
    self.passedOver = passedOver
    self.foundMax = foundMax
    self.elementsMax = elementsMax
  }

  /// The indices found, rising.
  package var rising: [Int] { end == .head ? found : found.reversed() }

  /// A step for each element, and one more for each this many bytes compared.
  private static let bytesPerStep = 64

  /// Searches the next elements.
  /// - Returns: whether the search is done.
  fileprivate mutating func advance(
    in list: List, version: UInt64, for value: UnsafeRawBufferPointer, steps: Int
  ) -> Bool {
    if version != self.version {
      (self.version, looked, passed, found) = (version, 0, 0, [])
    }
    let length = list.count
    let last = min(length, elementsMax)
    var stepsLeft = steps
    let wordsOfValue = value.count / Self.bytesPerStep
    guard foundMax > 0, looked < last else { return true }
    let start = end == .head ? looked : length - 1 - looked
    list.forEach(from: start, towards: end == .head ? .tail : .head) { element in
      stepsLeft -= 1
      if element.count == value.count {
        stepsLeft -= wordsOfValue
        if bytesMatch(element, value) { note(end == .head ? looked : length - 1 - looked) }
      }
      looked += 1
      return stepsLeft > 0 && looked < last && found.count < foundMax
    }
    return looked >= last || found.count >= foundMax
  }

  private mutating func note(_ index: Int) {
    if passed < passedOver { passed += 1 } else { found.append(index) }
  }
}

/// Whether two runs of bytes of one length are equal.
@inline(__always)
private func bytesMatch(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Bool {
  guard let left = left.baseAddress, let other = right.baseAddress else { return true }
  return memcmp(left, other, right.count) == 0
}

extension Store {
  /// Continues a search, for about this number of steps: 7 ns each.
  /// - Returns: whether it is done; nil if there is no such key.
  package func advance(
    _ search: inout ListSearch, for value: UnsafeRawBufferPointer, steps: Int, at place: KeyPlace
  ) throws(StoreError) -> Bool? {
    guard let list = try list(at: place) else { return nil }
    return search.advance(in: list, version: place.version, for: value, steps: steps)
  }
}

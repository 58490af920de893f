// Strings: bytes in the entry, a canonical Int64 as a number, large values in a separate block.

import LargeMemory
import TextForms

extension Store {
  /// The value of a string key, nil if there is no such key. O(1), no copy, no allocation.
  package func string(at place: KeyPlace) throws(StoreError) -> StringView? {
    check(place)
    guard let entry = place.entry else { return nil }
    guard let bytes = bytes(of: entry) else { throw .wrongType }
    return StringView(bytes: bytes, version: entry.version)
  }

  /// Of a string; nil of anything else.
  @inline(__always)
  func bytes(of entry: Entry) -> UnsafeRawBufferPointer? {
    switch entry.kind {
    case .bytes: UnsafeRawBufferPointer(start: entry.payload, count: entry.payloadCount)
    case .integer:
      UnsafeRawBufferPointer(
        start: digits, count: DecimalInteger.format(entry.integer, into: digits))
    case .blob: entry.blob.bytes
    case .list: nil
    }
  }

  /// As `string`, and the bytes are good after a change at the place, until the next call that
  /// finds or changes anything else. O(1) except for a copy of a small value.
  package func replacedString(at place: KeyPlace) throws(StoreError) -> StringView? {
    guard let found = try string(at: place), let entry = place.entry else { return nil }
    switch entry.kind {
    case .bytes:
      let copy = UnsafeRawBufferPointer(start: replaced, count: found.bytes.count)
      copyBytes(found.bytes, to: replaced)
      return StringView(bytes: copy, version: found.version)
    case .blob:
      freeLeftovers()
      entry.blob.retain()
      leftover = .blob(entry.blob)
    case .integer, .list: break
    }
    return found
  }

  /// Makes the key a string, and replaces any previous value. Amortised O(1) plus the copy.
  /// - Parameters:
  ///   - block: the block that contains `value`, if it may be kept: it must be immutable. If the
  ///     value is three quarters of it or more, it is adopted and nothing is copied; otherwise a
  ///     small value would keep a large block.
  ///   - expiry: when the key expires from now on.
  /// - Returns: the version of the write.
  package func set(
    _ value: UnsafeRawBufferPointer, in block: LargeBlock? = nil, expiry: Expiry = .never,
    at place: KeyPlace
  ) -> UInt64 {
    change(place, .put(.bytes(value), expiry), in: block)
  }

  /// Writes bytes into a value at an offset; zeros fill a gap after its end. O(length of the
  /// result): small values stay in their entry, and the text of an integer becomes one, so the
  /// result is stored as a whole. The expiry stays.
  /// - Parameter old: the value at the place; nil: there is none.
  /// - Returns: the version of the write.
  package func write(
    _ bytes: UnsafeRawBufferPointer, offset: Int, into old: StringView?, at place: KeyPlace
  ) -> UInt64 {
    // To append nothing to a key that isn't there makes it.
    if bytes.isEmpty { return set(bytes, expiry: place.expiry, at: place) }
    let length = old?.bytes.count ?? 0
    return change(place, .write(bytes, offset: offset, lengthBefore: length))
  }

  /// Adds `delta` to the integer of a key; a missing key counts as 0. The expiry stays. Amortised
  /// O(1).
  /// - Parameter expiry: when a key expires that the call makes.
  package func incrBy(
    _ delta: Int64, making expiry: Expiry = .never, at place: KeyPlace
  ) throws(StoreError) -> (value: Int64, version: UInt64) {
    var (old, expiry) = (Int64(0), expiry)
    if let entry = place.entry {
      expiry = entry.expiry
      switch entry.kind {
      case .bytes, .blob: throw .notAnInteger
      case .list: throw .wrongType
      case .integer: old = entry.integer
      }
    }
    let (sum, overflows) = old.addingReportingOverflow(delta)
    if overflows { throw .integerOverflow }
    return (sum, change(place, .put(.integer(sum), expiry)))
  }
}

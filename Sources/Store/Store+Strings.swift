// Strings: bytes in the entry, a canonical Int64 as a number, large values in their own block.

import LargeMemory
import TextForms

extension Store {
  /// The value of a string key, nil where there is no such key. O(1), no copy, no allocation.
  package func string(at place: KeyPlace) throws(StoreError) -> StringView? {
    check(place)
    guard let entry = place.entry else { return nil }
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

  /// As `string`, and the bytes are good after a change at the place, until the next call that finds
  /// or changes anything else. O(1) but for a copy of a small value.
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

  /// Makes the key a string, whatever it was. Amortised O(1) plus the copy.
  /// - Parameters:
  ///   - block: the block that `value` lies in, if it may be kept: it must not change any more. Where
  ///     the value is three quarters of it or more, it is adopted and nothing is copied; else a small
  ///     value would keep a large block alive.
  ///   - expiry: when the key expires from now on.
  /// - Returns: the version of the write.
  package func set(
    _ value: UnsafeRawBufferPointer, in block: LargeBlock? = nil, expiry: Expiry = .never,
    at place: KeyPlace
  ) -> UInt64 {
    change(place, .put(.bytes(value), expiry), in: block)
  }

  /// Puts bytes behind a value. O(length of the result): small values stay in their entry, and what
  /// spells an integer becomes one, so the result is stored as a whole. The expiry stays.
  /// - Parameter old: the value at the place; nil: there is none.
  /// - Returns: the version of the write.
  package func append(
    _ bytes: UnsafeRawBufferPointer, to old: StringView?, at place: KeyPlace
  ) -> UInt64 {
    let expiry = place.expiry
    guard let old = old?.bytes, !old.isEmpty else {
      return set(bytes, expiry: expiry, at: place)
    }
    return withUnsafeTemporaryAllocation(
      byteCount: old.count + bytes.count, alignment: 1
    ) { whole in
      whole.copyMemory(from: old)
      UnsafeMutableRawBufferPointer(rebasing: whole[old.count...]).copyMemory(from: bytes)
      return set(UnsafeRawBufferPointer(whole), expiry: expiry, at: place)
    }
  }

  /// Adds `delta` to the integer of a key; a missing key counts as 0. The expiry stays. Amortised
  /// O(1).
  package func incrBy(
    _ delta: Int64, at place: KeyPlace
  ) throws(StoreError) -> (value: Int64, version: UInt64) {
    var old: Int64 = 0
    if let entry = place.entry {
      switch entry.kind {
      case .bytes, .blob: throw .notAnInteger
      case .list: throw .wrongType
      case .integer: old = entry.integer
      }
    }
    let (sum, overflows) = old.addingReportingOverflow(delta)
    if overflows { throw .integerOverflow }
    return (sum, change(place, .put(.integer(sum), place.expiry)))
  }
}

// What two stores with the same contents agree on, in 64 bits.
//
//   digest of a slot = sum of its keys' digests, whatever their order
//   digest of a key  = SipHash-1-3 of the words: database, version, expiry, key bytes, value
//   value            = 1, bytes  |  2, integer  |  3, count, bytes of each element
//   bytes            = count, then the bytes in words, zeros behind the last
//
// The seed is fixed, so stores of different hash seeds can be compared. It doesn't include access
// clocks and the memory layout of values.

import TextForms

/// The digest of one key, computed while its value arrives.
package struct EntryDigest {
  private var state = SipState((0, 0))

  package init(
    database: Int, key: UnsafeRawBufferPointer, version: UInt64, expiry: Expiry
  ) {
    state.absorb(UInt64(database))
    state.absorb(version)
    state.absorb(UInt64(bitPattern: expiry.unixMillis))
    addBytes(key)
  }

  package mutating func addString(_ value: UnsafeRawBufferPointer) {
    beginString(count: value.count)
    addPart(value)
  }

  package mutating func addInteger(_ value: Int64) {
    state.absorb(2)
    state.absorb(UInt64(bitPattern: value))
  }

  /// The integer as clients see it.
  package mutating func addText(of value: Int64) {
    withUnsafeTemporaryAllocation(byteCount: DecimalInteger.digitsMax, alignment: 1) { text in
      guard let start = text.baseAddress else { return }
      let count = DecimalInteger.format(value, into: start)
      addString(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(text)[..<count]))
    }
  }

  /// A string of this many bytes follows in parts.
  package mutating func beginString(count: Int) {
    state.absorb(1)
    state.absorb(UInt64(count))
  }

  /// - Parameter part: a multiple of 8 bytes, except for the last part.
  package mutating func addPart(_ part: UnsafeRawBufferPointer) {
    let words = part.count / 8
    for word in 0..<words {
      state.absorb(part.loadUnaligned(fromByteOffset: word * 8, as: UInt64.self).littleEndian)
    }
    guard part.count % 8 != 0 else { return }
    var last: UInt64 = 0
    for (index, byte) in part[(words * 8)...].enumerated() { last |= UInt64(byte) << (8 * index) }
    state.absorb(last)
  }

  /// A list with this number of elements follows.
  package mutating func beginList(count: Int) {
    state.absorb(3)
    state.absorb(UInt64(count))
  }

  package mutating func addElement(_ element: UnsafeRawBufferPointer) { addBytes(element) }

  private mutating func addBytes(_ bytes: UnsafeRawBufferPointer) {
    state.absorb(UInt64(bytes.count))
    addPart(bytes)
  }

  /// The digest, once the value is complete.
  package var value: UInt64 {
    var state = state
    return state.finish(0)
  }
}

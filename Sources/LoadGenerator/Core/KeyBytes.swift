// The bytes of keys and values, in memory that is rewritten for each call. Owned by one event
// loop's part of the load, and used on its thread only.
//
//   key   = "bench:" letter ":" 12 digits          letter: s string, i counter, l list
//   value = the key's digits, the last one first, then small letters; cut to its length

/// The next call's key, and its value.
final class KeyBytes {
  static let prefix = "bench:"
  static let digits = 12
  private static let letterPlace = prefix.utf8.count
  private static let digitsPlace = letterPlace + 2
  /// The length of every key.
  static let count = digitsPlace + digits

  private let sizes: ValueSizes
  private let memory: UnsafeMutableRawBufferPointer
  private let values: UnsafeMutableRawBufferPointer

  init(_ sizes: ValueSizes) {
    self.sizes = sizes
    memory = .allocate(byteCount: Self.count, alignment: 8)
    for (place, byte) in "\(Self.prefix)s:".utf8.enumerated() { memory[place] = byte }
    values = .allocate(byteCount: max(sizes.bytesMax, Self.digits), alignment: 8)
    for place in values.indices { values[place] = UInt8(ascii: "a") + UInt8(place % 26) }
    select(.strings, 0)
  }

  deinit {
    memory.deallocate()
    values.deallocate()
  }

  /// Writes a key and the beginning of its value. Both are valid until the next call.
  func select(_ space: KeySpace, _ key: Int) {
    memory[Self.letterPlace] = space.letterByte
    var rest = UInt64(truncatingIfNeeded: key)
    for place in 0..<Self.digits {
      let digit = UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: rest % 10)
      rest /= 10
      memory[Self.count &- 1 &- place] = digit
      values[place] = digit
    }
    self.key = UnsafeRawBufferPointer(memory)
    value = UnsafeRawBufferPointer(rebasing: values[..<sizes.bytes(ofKey: key)])
  }

  private(set) var key = UnsafeRawBufferPointer(start: nil, count: 0)
  private(set) var value = UnsafeRawBufferPointer(start: nil, count: 0)

  /// Whether bytes are the value of a key: its length and its first bytes.
  func isValue(_ bytes: UnsafeRawBufferPointer, ofKey key: Int) -> Bool {
    guard bytes.count == sizes.bytes(ofKey: key) else { return false }
    var rest = UInt64(truncatingIfNeeded: key)
    for place in 0..<min(Self.digits, bytes.count) {
      if bytes[place] != UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: rest % 10) { return false }
      rest /= 10
    }
    return true
  }

  /// What is wrong with such a value, for a person.
  func complaint(about bytes: UnsafeRawBufferPointer, ofKey key: Int) -> String {
    let wanted = sizes.bytes(ofKey: key)
    return bytes.count == wanted
      ? "the value belongs to another key"
      : "the value has \(bytes.count) bytes and should have \(wanted)"
  }
}

// Unsigned decimal numbers of bounded length. Leading zeros are accepted. Pure functions, any
// thread.

package enum DecimalDigits {
  /// The number in `bytes`, or nil if they are empty, longer than `digitsMax` (at most 18, so that
  /// nothing can overflow) or hold anything but digits.
  package static func parse(_ bytes: UnsafeRawBufferPointer, digitsMax: Int) -> UInt64? {
    guard !bytes.isEmpty, bytes.count <= min(digitsMax, 18) else { return nil }
    var number: UInt64 = 0
    for byte in bytes {
      guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { return nil }
      number = number &* 10 &+ UInt64(byte &- UInt8(ascii: "0"))
    }
    return number
  }
}

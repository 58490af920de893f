// Bytes as two hexadecimal digits each, and numbers with all their digits. Pure functions; any
// thread.

package enum Hexadecimal {
  /// In small letters. O(n).
  package static func text(_ bytes: some Sequence<UInt8>) -> String {
    String(decoding: digits(bytes), as: UTF8.self)
  }

  /// The bytes of `text`. O(n).
  package static func digits(_ bytes: some Sequence<UInt8>) -> [UInt8] {
    bytes.flatMap { [digit(of: $0 >> 4), digit(of: $0 & 0xF)] }
  }

  /// All digits of a number, in small letters: 16 for one of 64 bits.
  package static func text(_ number: some FixedWidthInteger & UnsignedInteger) -> String {
    let digits = String(number, radix: 16)
    return String(repeating: "0", count: number.bitWidth / 4 - digits.count) + digits
  }

  /// The bytes of the digits, in upper or lower case; nil if the text has another form. O(n).
  package static func bytes(_ text: some Sequence<UInt8>) -> [UInt8]? {
    var bytes: [UInt8] = []
    var high: UInt8?
    for character in text {
      guard let value = value(of: character) else { return nil }
      if let first = high {
        bytes.append(first << 4 | value)
        high = nil
      } else {
        high = value
      }
    }
    return high == nil ? bytes : nil
  }

  /// The number of which the text has all digits, in upper or lower case: 16 for one of 64 bits;
  /// nil if the text has another form.
  package static func number<Number: FixedWidthInteger & UnsignedInteger>(
    _ digits: some Collection<UInt8>, as type: Number.Type
  ) -> Number? {
    guard digits.count == Number.bitWidth / 4 else { return nil }
    var number: Number = 0
    for digit in digits {
      guard let value = value(of: digit) else { return nil }
      number = number << 4 | Number(value)
    }
    return number
  }

  /// The value of one digit, 0 to 15.
  package static func value(of digit: UInt8) -> UInt8? {
    switch digit {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): digit &- UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): digit &- UInt8(ascii: "a") &+ 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): digit &- UInt8(ascii: "A") &+ 10
    default: nil
    }
  }

  private static func digit(of value: UInt8) -> UInt8 {
    value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10
  }
}

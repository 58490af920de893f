// Small functions on bytes for the whole room. Pure functions.

import TextForms

enum LineText {
  static let lineFeed = UInt8(ascii: "\n")
  static let carriageReturn = UInt8(ascii: "\r")

  /// The offset of a byte at or after `start`, or nil. O(bytes read).
  static func offset(
    of byte: UInt8, in bytes: UnsafeRawBufferPointer, from start: Int = 0
  ) -> Int? {
    guard start < bytes.count else { return nil }
    return bytes[start...].firstIndex(of: byte)
  }

  /// Whether bytes can be one line.
  static func fitsLine(_ bytes: UnsafeRawBufferPointer) -> Bool {
    !bytes.contains { $0 == lineFeed || $0 == carriageReturn }
  }

  static func isBlank(_ byte: UInt8) -> Bool {
    byte == UInt8(ascii: " ") || (0x09...0x0d).contains(byte)
  }

  /// A count of lines: digits, at most as many as fit into the line of a count. Leading zeros are
  /// accepted there.
  static func count(_ digits: UnsafeRawBufferPointer) -> Int? {
    DecimalDigits.parse(digits, digitsMax: LineLimits.maxCountLineBytes - 1).map { Int($0) }
  }

  /// Whether bytes are the decimal form of an integer of any size.
  static func isNumber(_ bytes: UnsafeRawBufferPointer) -> Bool {
    let digits = bytes[(bytes.first == UInt8(ascii: "-") ? 1 : 0)...]
    guard let first = digits.first else { return false }
    if first == UInt8(ascii: "0") { return bytes.count == 1 }
    return digits.allSatisfy { (0x30...0x39).contains($0) }
  }
}

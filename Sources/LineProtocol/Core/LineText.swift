// Small questions about bytes that the whole room asks. Pure functions.

enum LineText {
  static let lineFeed = UInt8(ascii: "\n")
  static let carriageReturn = UInt8(ascii: "\r")

  /// The offset of a byte at or behind `start`, or nil. O(bytes looked at).
  static func offset(
    of byte: UInt8, in bytes: UnsafeRawBufferPointer, from start: Int = 0
  ) -> Int? {
    guard start < bytes.count else { return nil }
    return bytes[start...].firstIndex(of: byte)
  }

  /// Whether bytes can stand on a line.
  static func fitsLine(_ bytes: UnsafeRawBufferPointer) -> Bool {
    !bytes.contains { $0 == lineFeed || $0 == carriageReturn }
  }

  /// Whether bytes are this ASCII text, whatever the case of the letters.
  static func isSame(_ bytes: UnsafeRawBufferPointer, _ text: String) -> Bool {
    bytes.count == text.utf8.count
      && zip(bytes, text.utf8).allSatisfy { capital($0) == capital($1) }
  }

  static func capital(_ byte: UInt8) -> UInt8 {
    (0x61...0x7a).contains(byte) ? byte - 0x20 : byte
  }

  static func isBlank(_ byte: UInt8) -> Bool {
    byte == UInt8(ascii: " ") || (0x09...0x0d).contains(byte)
  }

  /// A decimal 64-bit integer, with a minus sign or without; nil for anything else.
  static func integer(_ bytes: UnsafeRawBufferPointer) -> Int64? {
    guard (1...20).contains(bytes.count) else { return nil }
    let isNegative = bytes[0] == UInt8(ascii: "-")
    let digits = bytes[(isNegative ? 1 : 0)...]
    guard !digits.isEmpty else { return nil }
    var number: Int64 = 0
    for byte in digits {
      guard (0x30...0x39).contains(byte) else { return nil }
      let (product, isTooLarge) = number.multipliedReportingOverflow(by: 10)
      let digit = Int64(byte - 0x30)
      // Counted away from zero on the side of the sign: the smallest number has no positive twin.
      let (sum, isPast) = product.addingReportingOverflow(isNegative ? -digit : digit)
      guard !isTooLarge, !isPast else { return nil }
      number = sum
    }
    return number
  }
}

// Base64 over bytes (RFC 4648 section 4, the standard alphabet). Pure functions, any thread.

package enum Base64 {
  private static let alphabet: [UInt8] = Array(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

  /// Sextet of each byte; 0xFF: not in the alphabet.
  private static let sextets: [UInt8] = {
    var table = [UInt8](repeating: 0xFF, count: 256)
    for (index, byte) in alphabet.enumerated() { table[Int(byte)] = UInt8(index) }
    return table
  }()

  /// O(n), one allocation.
  package static func encode(_ bytes: UnsafeRawBufferPointer, padded: Bool = false) -> [UInt8] {
    var text: [UInt8] = []
    text.reserveCapacity((bytes.count / 3 + 1) * 4)
    var index = 0
    while index < bytes.count {
      let left = bytes.count - index
      let first = UInt32(bytes[index])
      let second = left > 1 ? UInt32(bytes[index + 1]) : 0
      let third = left > 2 ? UInt32(bytes[index + 2]) : 0
      let word = first << 16 | second << 8 | third
      text.append(alphabet[Int(word >> 18)])
      text.append(alphabet[Int(word >> 12 & 0x3F)])
      if left > 1 { text.append(alphabet[Int(word >> 6 & 0x3F)]) }
      if left > 2 { text.append(alphabet[Int(word & 0x3F)]) }
      index += 3
    }
    while padded, text.count % 4 != 0 { text.append(UInt8(ascii: "=")) }
    return text
  }

  /// O(n), one allocation.
  package static func encode(_ bytes: [UInt8], padded: Bool = false) -> [UInt8] {
    bytes.withUnsafeBytes { encode($0, padded: padded) }
  }

  /// Decodes text with or without padding; nil if it is malformed. O(n), one allocation.
  package static func decode(_ text: UnsafeRawBufferPointer) -> [UInt8]? {
    var length = text.count
    var padding = 0
    while length > 0, padding < 2, text[length - 1] == UInt8(ascii: "=") {
      length -= 1
      padding += 1
    }
    // A single sextet over can't make a byte; padding, where there is any, must fill the quantum.
    guard length % 4 != 1, padding == 0 || (length + padding) % 4 == 0 else { return nil }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(length / 4 * 3 + 2)
    var word: UInt32 = 0
    var bits = 0
    for index in 0..<length {
      let sextet = sextets[Int(text[index])]
      guard sextet != 0xFF else { return nil }
      word = word << 6 | UInt32(sextet)
      bits += 6
      if bits >= 8 {
        bits -= 8
        bytes.append(UInt8(truncatingIfNeeded: word >> UInt32(bits)))
        word &= (1 << UInt32(bits)) - 1
      }
    }
    return bytes
  }

  /// Decodes text with or without padding; nil if it is malformed. O(n).
  package static func decode(_ text: [UInt8]) -> [UInt8]? {
    text.withUnsafeBytes { decode($0) }
  }
}

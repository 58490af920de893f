// The coding of `grpc-message` (gRPC PROTOCOL-HTTP2, "Percent-Encoded"): printable ASCII except '%'
// is unchanged, everything else is %XX of the UTF-8 bytes. Pure functions, any thread.

import TextForms

/// Percent coding of `grpc-message` values.
package enum PercentCoding {
  private static let hexDigits: [UInt8] = Array("0123456789ABCDEF".utf8)

  /// Encodes any text into header-safe bytes. O(n).
  package static func encode(_ text: String) -> [UInt8] {
    var encoded: [UInt8] = []
    encoded.reserveCapacity(text.utf8.count)
    for byte in text.utf8 {
      if byte >= 0x20, byte <= 0x7E, byte != UInt8(ascii: "%") {
        encoded.append(byte)
      } else {
        encoded.append(UInt8(ascii: "%"))
        encoded.append(hexDigits[Int(byte >> 4)])
        encoded.append(hexDigits[Int(byte & 0xF)])
      }
    }
    return encoded
  }

  /// Decodes; a bad escape is kept unchanged and bytes that are not UTF-8 become U+FFFD, because a
  /// peer's invalid message must not hide its status. O(n), never fails.
  package static func decode(_ bytes: UnsafeRawBufferPointer) -> String {
    guard bytes.contains(UInt8(ascii: "%")) else { return String(decoding: bytes, as: UTF8.self) }
    var decoded: [UInt8] = []
    decoded.reserveCapacity(bytes.count)
    var index = 0
    while index < bytes.count {
      let byte = bytes[index]
      if byte == UInt8(ascii: "%"), bytes.count - index >= 3,
        let high = Hexadecimal.value(of: bytes[index + 1]),
        let low = Hexadecimal.value(of: bytes[index + 2])
      {
        decoded.append(high << 4 | low)
        index += 3
      } else {
        decoded.append(byte)
        index += 1
      }
    }
    return String(decoding: decoded, as: UTF8.self)
  }

  /// Decodes; see the pointer version. O(n).
  package static func decode(_ bytes: [UInt8]) -> String {
    bytes.withUnsafeBytes { decode($0) }
  }
}

// SCAN's cursors: `0` at the start and at the end, and in between the page token of a Keys call in
// hexadecimal digits. Pure.

import NIOCore
import RingstoreAPI

enum LineCursor {
  static let end = Array("0".utf8)

  /// The page token of a cursor, empty for the start; nil for what is no cursor.
  static func token(_ cursor: UnsafeRawBufferPointer) -> [UInt8]? {
    if cursor.elementsEqual(end) { return [] }
    guard !cursor.isEmpty, cursor.count.isMultiple(of: 2), cursor.count <= digitsMax else {
      return nil
    }
    var token: [UInt8] = []
    for place in stride(from: 0, to: cursor.count, by: 2) {
      guard let high = digit(cursor[place]), let low = digit(cursor[place + 1]) else { return nil }
      token.append(high << 4 | low)
    }
    return token
  }

  /// Tokens are shorter; a longer cursor is none of ours.
  private static let digitsMax = 256

  static func cursor(_ token: UnsafeRawBufferPointer) -> [UInt8] {
    if token.isEmpty { return end }
    let digits = Array("0123456789abcdef".utf8)
    return token.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
  }

  /// The reply of one SCAN: the next cursor, then the keys.
  static func write(
    page: V1.KeysResponse, keys: [UnsafeRawBufferPointer], into out: inout ByteBuffer
  ) throws(LineError) {
    let next = cursor(page.nextPageToken)
    guard keys.allSatisfy(LineText.fitsLine) else { throw .unframeablePage(next: next) }
    out.writeLine(listOf: 1 + keys.count)
    next.withUnsafeBytes { out.writeListLine($0) }
    for key in keys { out.writeListLine(key) }
  }

  private static func digit(_ byte: UInt8) -> UInt8? {
    switch byte {
    case 0x30...0x39: byte - 0x30
    case 0x41...0x46: byte - 0x41 + 10
    case 0x61...0x66: byte - 0x61 + 10
    default: nil
    }
  }
}

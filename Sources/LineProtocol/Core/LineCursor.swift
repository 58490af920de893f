// SCAN's cursors: `0` at the start and at the end, and in between the page token of a Keys call in
// hexadecimal digits. Pure.

import NIOCore
import RingstoreAPI
import TextForms

enum LineCursor {
  static let end = Array("0".utf8)

  /// The page token of a cursor, empty for the start; nil for an invalid cursor.
  static func token(_ cursor: UnsafeRawBufferPointer) -> [UInt8]? {
    if cursor.elementsEqual(end) { return [] }
    guard !cursor.isEmpty, cursor.count <= digitsMax else { return nil }
    return Hexadecimal.bytes(cursor)
  }

  /// Tokens are shorter; a longer cursor is none of ours.
  private static let digitsMax = 256

  static func cursor(_ token: UnsafeRawBufferPointer) -> [UInt8] {
    token.isEmpty ? end : Hexadecimal.digits(token)
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
}

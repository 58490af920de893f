// Single fields of small requests, read in place. Pure functions.

import RingstoreAPI

enum MessageFields {
  /// The value of a number's last field; 0 if there is none. O(fields).
  static func number(
    _ field: IntField, in message: UnsafeRawBufferPointer
  ) throws(WireError) -> Int64 {
    var reader = WireReader(message)
    var value: Int64 = 0
    while let tag = try reader.nextTag() {
      if tag == .varint(field.number) {
        value = try reader.readInt64()
      } else {
        try reader.skip(tag)
      }
    }
    return value
  }

  /// The bytes of a last field; empty if there is none. O(fields).
  static func bytes(
    _ field: BytesField, in message: UnsafeRawBufferPointer
  ) throws(WireError) -> UnsafeRawBufferPointer {
    var reader = WireReader(message)
    var value = noBytes
    while let tag = try reader.nextTag() {
      if tag == .bytes(field.number) {
        value = try reader.readBytes()
      } else {
        try reader.skip(tag)
      }
    }
    return value
  }
}

// Requests that carry signed numbers: ListRange (LRange) and IncrByRequest (IncrBy).

package struct ListRangeView: RequestView {
  package private(set) var key = noBytes
  /// Zero-based and inclusive, negative from the end; not clamped yet.
  package private(set) var start: Int64 = 0
  package private(set) var stop: Int64 = 0
  package private(set) var database: UInt32 = 0
  package private(set) var hasUnknownField = false
  package var unservedField: String? { nil }

  package init(_ message: UnsafeRawBufferPointer) throws(WireError) {
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      switch tag {
      case .bytes(1): key = try reader.readBytes()
      case .varint(2): start = try reader.readSInt()
      case .varint(3): stop = try reader.readSInt()
      case .varint(4): database = try reader.readUInt32()
      default:
        try reader.skip(tag)
        hasUnknownField = true
      }
    }
  }
}

package struct IncrByView: RequestView {
  package private(set) var key = noBytes
  package private(set) var delta: Int64 = 0
  package private(set) var database: UInt32 = 0
  package private(set) var hasUnknownField = false
  package var unservedField: String? { nil }

  package init(_ message: UnsafeRawBufferPointer) throws(WireError) {
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      switch tag {
      case .bytes(1): key = try reader.readBytes()
      case .varint(2): delta = try reader.readSInt()
      case .varint(3): database = try reader.readUInt32()
      default:
        try reader.skip(tag)
        hasUnknownField = true
      }
    }
  }
}

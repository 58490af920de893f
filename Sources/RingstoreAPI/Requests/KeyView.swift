// The request of Get, Delete, LPop, RPop, LLen, Exists and Type: message Key.

package struct KeyView: RequestView {
  package private(set) var key = noBytes
  package private(set) var database: UInt32 = 0
  package private(set) var hasUnknownField = false
  package var unservedField: String? { nil }

  package init(_ message: UnsafeRawBufferPointer) throws(WireError) {
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      switch tag {
      case .bytes(1): key = try reader.readBytes()
      case .varint(2): database = try reader.readUInt32()
      default:
        try reader.skip(tag)
        hasUnknownField = true
      }
    }
  }
}

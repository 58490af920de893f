// The request of Set: message KeyValue.

package struct KeyValueView: RequestView {
  package private(set) var key = noBytes
  package private(set) var value = noBytes
  package private(set) var database: UInt32 = 0
  package private(set) var hasUnknownField = false

  private var expiry: Expiry = .none
  private var condition: Int32 = 0
  private var ifVersion: UInt64 = 0
  private var returnPrevious = false

  /// Which field of the oneof came last; it counts as set whatever its value.
  private enum Expiry: UInt8 { case none, ttlMillis, expireAtUnixMillis, keepTTL }

  package init(_ message: UnsafeRawBufferPointer) throws(WireError) {
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      switch tag {
      case .bytes(1): key = try reader.readBytes()
      case .bytes(2): value = try reader.readBytes()
      case .varint(3): database = try reader.readUInt32()
      default: try readRare(tag, from: &reader)
      }
    }
  }

  private mutating func readRare(
    _ tag: WireTag, from reader: inout WireReader
  ) throws(WireError) {
    switch tag {
    case .varint(4):
      _ = try reader.readVarint()
      expiry = .ttlMillis
    case .varint(5):
      _ = try reader.readVarint()
      expiry = .expireAtUnixMillis
    case .varint(6):
      _ = try reader.readVarint()
      expiry = .keepTTL
    case .varint(7): condition = try reader.readInt32()
    case .varint(8): ifVersion = try reader.readVarint()
    case .varint(9): returnPrevious = try reader.readBool()
    default:
      try reader.skip(tag)
      hasUnknownField = true
    }
  }

  package var unservedField: String? {
    switch expiry {
    case .none: break
    case .ttlMillis: return "ttl_millis"
    case .expireAtUnixMillis: return "expire_at_unix_millis"
    case .keepTTL: return "keep_ttl"
    }
    if condition != 0 { return "condition" }
    if ifVersion != 0 { return "if_version" }
    return returnPrevious ? "return_previous" : nil
  }
}

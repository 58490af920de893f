// Replies read in place, for those who merge or translate them: routers, the line protocol, the
// client. Same rules as for requests; unknown fields are passed over, since a newer node may tell
// more than this one understands. Cold replies are read with the generated messages instead.

/// Reply of Get, LPop and RPop.
package struct ValueReplyView {
  package private(set) var value = noBytes
  package private(set) var found = false
  package private(set) var version: UInt64 = 0

  package init(_ message: UnsafeRawBufferPointer) throws(WireError) {
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      switch tag {
      case .bytes(1): value = try reader.readBytes()
      case .varint(2): found = try reader.readBool()
      case .varint(3): version = try reader.readVarint()
      default: try reader.skip(tag)
      }
    }
  }
}

/// Reply of Set, Delete, LPush, RPush, LLen and Exists.
package struct StatusReplyView {
  package private(set) var ok = false
  package private(set) var count: Int64 = 0
  package private(set) var version: UInt64 = 0

  package init(_ message: UnsafeRawBufferPointer) throws(WireError) {
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      switch tag {
      case .varint(1): ok = try reader.readBool()
      case .varint(2): count = try reader.readInt64()
      case .varint(3): version = try reader.readVarint()
      default: try reader.skip(tag)
      }
    }
  }
}

/// Reply of LRange.
package struct ListValuesReplyView {
  /// In list order; walking them allocates nothing.
  package let values: RepeatedBytes
  package private(set) var count = 0
  package private(set) var found = false
  package private(set) var length: Int64 = 0
  package private(set) var firstIndex: Int64 = 0

  package init(_ message: UnsafeRawBufferPointer) throws(WireError) {
    values = RepeatedBytes(message, field: 1)
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      switch tag {
      case .bytes(1):
        _ = try reader.readBytes()
        count += 1
      case .varint(2): found = try reader.readBool()
      case .varint(3): length = try reader.readInt64()
      case .varint(4): firstIndex = try reader.readInt64()
      default: try reader.skip(tag)
      }
    }
  }
}

/// Reply of IncrBy.
package struct IncrByReplyView {
  package private(set) var value: Int64 = 0
  package private(set) var version: UInt64 = 0

  package init(_ message: UnsafeRawBufferPointer) throws(WireError) {
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      switch tag {
      case .varint(1): value = try reader.readSInt()
      case .varint(2): version = try reader.readVarint()
      default: try reader.skip(tag)
      }
    }
  }
}

/// The one number of a TypeResponse, DbSizeResponse or ResetResponse: all have it in field 1.
package struct NumberReplyView {
  package private(set) var number: Int64 = 0

  package init(_ message: UnsafeRawBufferPointer) throws(WireError) {
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      if tag == .varint(1) {
        number = try reader.readInt64()
      } else {
        try reader.skip(tag)
      }
    }
  }
}

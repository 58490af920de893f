// Requests that concern every shard: KeysRequest, ScanRequest, DbSizeRequest, ResetRequest and
// ShutdownRequest.

package struct KeysView: RequestView {
  package private(set) var pattern = PatternView()
  package private(set) var database: UInt32 = 0
  /// The most keys to answer with; 0: all of them, in one reply.
  package private(set) var limit: UInt32 = 0
  /// Where an earlier reply stopped; empty: from the start.
  package private(set) var pageToken = noBytes
  package private(set) var allowPartial = false
  package private(set) var hasUnknownField = false
  package var unservedField: String? { nil }

  package init(_ message: UnsafeRawBufferPointer) throws(WireError) {
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      switch tag {
      case .bytes(1): try pattern.merge(try reader.readBytes())
      case .varint(2): database = try reader.readUInt32()
      case .varint(3): limit = try reader.readUInt32()
      case .bytes(4): pageToken = try reader.readBytes()
      case .varint(5): allowPartial = try reader.readBool()
      default:
        try reader.skip(tag)
        hasUnknownField = true
      }
    }
    if pattern.hasUnknownField { hasUnknownField = true }
  }
}

package struct ScanView: RequestView {
  package private(set) var pattern = PatternView()
  package private(set) var database: UInt32 = 0
  /// How many keys the caller would like in a page; 0: it doesn't matter.
  package private(set) var pageSize: UInt32 = 0
  /// Any page's token; empty: from the start.
  package private(set) var resumeToken = noBytes
  package private(set) var allowPartial = false
  /// The type asked for, `none` for any; nil for a type that this version does not know.
  package var type: ValueType? { ValueType(rawValue: typeNumber) }
  package private(set) var hasUnknownField = false
  package var unservedField: String? { type == nil ? "type" : nil }

  private var typeNumber: Int32 = 0

  package init(_ message: UnsafeRawBufferPointer) throws(WireError) {
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      switch tag {
      case .bytes(1): try pattern.merge(try reader.readBytes())
      case .varint(2): database = try reader.readUInt32()
      case .varint(3): pageSize = try reader.readUInt32()
      case .bytes(4): resumeToken = try reader.readBytes()
      case .varint(5): allowPartial = try reader.readBool()
      case .varint(6): typeNumber = try reader.readInt32()
      default:
        try reader.skip(tag)
        hasUnknownField = true
      }
    }
    if pattern.hasUnknownField { hasUnknownField = true }
  }
}

package struct DbSizeView: RequestView {
  package private(set) var database: UInt32 = 0
  package private(set) var allDatabases = false
  package private(set) var allowPartial = false
  package private(set) var hasUnknownField = false
  package var unservedField: String? { nil }

  package init(_ message: UnsafeRawBufferPointer) throws(WireError) {
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      switch tag {
      case .varint(1): database = try reader.readUInt32()
      case .varint(2): allDatabases = try reader.readBool()
      case .varint(3): allowPartial = try reader.readBool()
      default:
        try reader.skip(tag)
        hasUnknownField = true
      }
    }
  }
}

package struct ResetView: RequestView {
  package private(set) var database: UInt32 = 0
  package private(set) var allDatabases = false
  package private(set) var hasUnknownField = false
  package var unservedField: String? { nil }

  package init(_ message: UnsafeRawBufferPointer) throws(WireError) {
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      switch tag {
      case .varint(1): database = try reader.readUInt32()
      case .varint(2): allDatabases = try reader.readBool()
      default:
        try reader.skip(tag)
        hasUnknownField = true
      }
    }
  }
}

package struct ShutdownView: RequestView {
  /// Every shard as well, not only the node asked.
  package private(set) var wholeCluster = false
  package private(set) var hasUnknownField = false
  package var unservedField: String? { nil }

  package init(_ message: UnsafeRawBufferPointer) throws(WireError) {
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      if tag == .varint(1) {
        wholeCluster = try reader.readBool()
      } else {
        try reader.skip(tag)
        hasUnknownField = true
      }
    }
  }
}

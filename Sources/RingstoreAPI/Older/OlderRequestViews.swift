// The requests of the older services (Protos/older), read in place like those of ringstore.v1: see
// RequestView.swift for the rules. Beside those hold proto3's for text and for messages in fields: a
// string is UTF-8 or the request is none, and a field with a message that comes twice is merged.

/// A request with one string: `Key` of KeyStore and `GetRequest` of KVStore.
package struct OlderKeyView: RequestView {
  package private(set) var key = noBytes
  package private(set) var hasUnknownField = false
  package var unservedField: String? { nil }

  package init(_ message: UnsafeRawBufferPointer) throws(WireError) {
    try merge(message)
  }

  init() {}

  mutating func merge(_ message: UnsafeRawBufferPointer) throws(WireError) {
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      if tag == .bytes(1) {
        key = try reader.readText()
      } else {
        try reader.skip(tag)
        hasUnknownField = true
      }
    }
  }
}

/// `SetRequest` of KVStore.
package struct OlderSetNumberView: RequestView {
  package private(set) var key = noBytes
  package private(set) var value: Int32 = 0
  package private(set) var hasUnknownField = false
  package var unservedField: String? { nil }

  package init(_ message: UnsafeRawBufferPointer) throws(WireError) {
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      switch tag {
      case .bytes(1): key = try reader.readText()
      case .varint(2): value = try reader.readInt32()
      default:
        try reader.skip(tag)
        hasUnknownField = true
      }
    }
  }
}

/// `KeyValue` of KeyStore. A missing key is an empty one, a missing value an empty text.
package struct OlderKeyValueView: RequestView {
  package var key: UnsafeRawBufferPointer { keyMessage.key }
  package var value: UnsafeRawBufferPointer { valueMessage.key }
  package var hasUnknownField: Bool {
    hasStranger || keyMessage.hasUnknownField || valueMessage.hasUnknownField
  }
  package var unservedField: String? { nil }

  private var keyMessage = OlderKeyView()
  /// `Value` has the fields of `Key`, under another name.
  private var valueMessage = OlderKeyView()
  private var hasStranger = false

  package init(_ message: UnsafeRawBufferPointer) throws(WireError) {
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      switch tag {
      case .bytes(1): try keyMessage.merge(try reader.readBytes())
      case .bytes(2): try valueMessage.merge(try reader.readBytes())
      default:
        try reader.skip(tag)
        hasStranger = true
      }
    }
  }
}

/// `ListRange` of KeyStore.
package struct OlderListRangeView: RequestView {
  package var key: UnsafeRawBufferPointer { keyMessage.key }
  /// As in ringstore.v1: zero-based, inclusive, negative from the end.
  package private(set) var start: Int32 = 0
  package private(set) var stop: Int32 = 0
  package var hasUnknownField: Bool { hasStranger || keyMessage.hasUnknownField }
  package var unservedField: String? { nil }

  private var keyMessage = OlderKeyView()
  private var hasStranger = false

  package init(_ message: UnsafeRawBufferPointer) throws(WireError) {
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      switch tag {
      case .bytes(1): try keyMessage.merge(try reader.readBytes())
      case .varint(2): start = try reader.readInt32()
      case .varint(3): stop = try reader.readInt32()
      default:
        try reader.skip(tag)
        hasStranger = true
      }
    }
  }
}

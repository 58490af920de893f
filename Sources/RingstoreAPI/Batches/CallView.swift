// One call inside a batch: message Call of a Pipeline, LinkCall of a link. The two agree in fields
// 1 to 3 and 5; field 4 is a time left in the one and a deadline in the other, and a LinkCall has a
// trace context in field 6 as well.

package struct CallView {
  /// Which contract the call came under.
  package enum Carrier: Sendable { case pipeline, link }

  package private(set) var id: UInt64 = 0
  /// A number of enum Method, or of `InternalMethod` on a link.
  package private(set) var method: UInt32 = 0
  /// The encoded request of that method.
  package private(set) var request = noBytes
  /// Of a Pipeline's call: what is left of the caller's deadline, in milliseconds; 0: there is none.
  package private(set) var timeoutMillis: UInt32 = 0
  /// Of a link's call: the caller's deadline on the shard's clock, in milliseconds; 0: there is none.
  package private(set) var deadlineMillis: UInt64 = 0
  package private(set) var requestID = noBytes
  package private(set) var traceContext = noBytes
  /// A field of the call itself, not of its request, that this version does not know.
  package private(set) var hasUnknownField = false

  package init(
    _ message: UnsafeRawBufferPointer, carrier: Carrier
  ) throws(WireError) {
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      switch tag {
      case .varint(1): id = try reader.readVarint()
      case .varint(2): method = try reader.readUInt32()
      case .bytes(3): request = try reader.readBytes()
      case .varint(4) where carrier == .link: deadlineMillis = try reader.readVarint()
      case .varint(4): timeoutMillis = try reader.readUInt32()
      case .bytes(5): requestID = try reader.readBytes()
      case .bytes(6) where carrier == .link: traceContext = try reader.readBytes()
      default:
        try reader.skip(tag)
        hasUnknownField = true
      }
    }
  }

  /// The contract's name of a field that was set and that this version does not serve yet.
  package var unservedField: String? { requestID.isEmpty ? nil : "request_id" }
}

// The request of LPush and RPush: message ListInsert. Its values are not collected; whoever wants
// them walks the message a second time, so a push of ten thousand values allocates nothing here.

package struct ListInsertView: RequestView {
  package private(set) var key = noBytes
  package private(set) var database: UInt32 = 0
  package private(set) var hasUnknownField = false
  /// How many values the message carries.
  package private(set) var count = 0

  private var onlyIfPresent = false
  private let message: UnsafeRawBufferPointer

  package init(_ message: UnsafeRawBufferPointer) throws(WireError) {
    self.message = message
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      switch tag {
      case .bytes(1): key = try reader.readBytes()
      case .bytes(2):
        _ = try reader.readBytes()
        count += 1
      case .varint(3): database = try reader.readUInt32()
      case .varint(4): onlyIfPresent = try reader.readBool()
      default:
        try reader.skip(tag)
        hasUnknownField = true
      }
    }
  }

  package var unservedField: String? { onlyIfPresent ? "only_if_present" : nil }

  /// The values in the order of the message: `count` of them. Can be asked for any number of times.
  package var values: RepeatedBytes { RepeatedBytes(message, field: 2) }
}

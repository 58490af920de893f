// Reading the replies of the calls that concern every shard: KeysResponse, ScanPage, StatsResponse.
// The others are one number (NumberReplyView). Slices of the message; any thread.

/// Reply of Keys.
package struct KeysReplyView {
  /// Walking them allocates nothing.
  package let keys: RepeatedBytes
  package private(set) var count = 0
  /// Where the rest begins; empty: there is none.
  package private(set) var nextPageToken = noBytes
  /// Each an encoded `Error`, for `CallError.init(item:)`.
  package let unreachable: RepeatedBytes

  package init(_ message: UnsafeRawBufferPointer) throws(WireError) {
    keys = RepeatedBytes(message, field: 1)
    unreachable = RepeatedBytes(message, field: 3)
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      switch tag {
      case .bytes(1):
        _ = try reader.readBytes()
        count += 1
      case .bytes(2): nextPageToken = try reader.readBytes()
      default: try reader.skip(tag)
      }
    }
  }
}

/// One message of Scan's reply.
package struct ScanPageView {
  /// Walking them allocates nothing.
  package let keys: RepeatedBytes
  package private(set) var count = 0
  package private(set) var resumeToken = noBytes
  /// Of the 16,384 slots.
  package private(set) var slotsDone: UInt32 = 0
  /// Each an encoded `Error`, for `CallError.init(item:)`.
  package let unreachable: RepeatedBytes

  package init(_ message: UnsafeRawBufferPointer) throws(WireError) {
    keys = RepeatedBytes(message, field: 1)
    unreachable = RepeatedBytes(message, field: 4)
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      switch tag {
      case .bytes(1):
        _ = try reader.readBytes()
        count += 1
      case .bytes(2): resumeToken = try reader.readBytes()
      case .varint(3): slotsDone = try reader.readUInt32()
      default: try reader.skip(tag)
      }
    }
  }
}

/// Reply of Stats.
package struct StatsReplyView {
  /// By name; as protobuf has it, the last entry of a name wins.
  package private(set) var counters: [String: Int64] = [:]

  package init(_ message: UnsafeRawBufferPointer) throws(WireError) {
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      guard tag == .bytes(1) else {
        try reader.skip(tag)
        continue
      }
      let (name, value) = try Self.entry(try reader.readBytes())
      counters[name] = value
    }
  }

  private static func entry(
    _ message: UnsafeRawBufferPointer
  ) throws(WireError) -> (name: String, value: Int64) {
    var (name, value) = ("", Int64(0))
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      switch tag {
      case .bytes(1): name = String(decoding: try reader.readBytes(), as: UTF8.self)
      case .varint(2): value = try reader.readInt64()
      default: try reader.skip(tag)
      }
    }
    return (name, value)
  }
}

// The messages of fan-out parts, between routers and shards only. They are protobuf messages
// without a .proto file: routers and shards of one version are rolled out together, and clients
// never see them. A shard does one slice of work per part and says where to go on.
//
//   KeysPartRequest  = Pattern:1? uint32 database:2 uint32 start_slot:3 uint64 cursor:4
//                      uint32 max_keys:5 uint32 max_bytes:6 uint32 max_visits:7
//                      ValueType type:8 uint32 end_slot:9 bool wants_positions:10
//   KeysPartReply    = bytes key:1* uint32 next_slot:2 uint64 next_cursor:3 bool done:4
//                      packed fixed64 positions:5
//   ResetPartRequest = uint32 database:1 bool all_databases:2 uint32 start_slot:3
//                      uint32 max_visits:4
//   ResetPartReply   = int64 removed:1 uint32 next_slot:2 bool done:3
//   LargeReplyNotice = uint64 total_bytes:1
//
// DbSizePart takes DbSizeRequest and answers DbSizeResponse; DescribePart takes nothing and answers
// an encoded Node; ListStreamPart takes ListRange and answers any number of ListValues; StatsPart
// takes nothing and answers StatsResponse; ShutdownPart takes and answers nothing. The readers
// follow the same rules as those of the public messages.

import NIOCore

/// Asks a shard for one slice of its matching keys.
package struct KeysPartRequest {
  package var pattern = PatternView()
  package var database: UInt32 = 0
  /// The slot to go on in; slots before it are done.
  package var startSlot: UInt32 = 0
  /// Where in that slot; 0: at its beginning.
  package var cursor: UInt64 = 0
  /// Bounds of the slice, whichever is met first: keys answered, their bytes, keys looked at.
  package var maxKeys: UInt32 = 0
  package var maxBytes: UInt32 = 0
  package var maxVisits: UInt32 = 0
  /// Only keys that hold this; `none`: any.
  package var type = ValueType.none
  /// The slot before which the shard stops; 0: behind the last.
  package var endSlot: UInt32 = 0
  /// Whether the reply is to say where each key lies.
  package var wantsPositions = false

  package init() {}

  package init(_ message: UnsafeRawBufferPointer) throws(WireError) {
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      switch tag {
      case .bytes(1): try pattern.merge(try reader.readBytes())
      case .varint(2): database = try reader.readUInt32()
      case .varint(3): startSlot = try reader.readUInt32()
      case .varint(4): cursor = try reader.readVarint()
      case .varint(5): maxKeys = try reader.readUInt32()
      case .varint(6): maxBytes = try reader.readUInt32()
      case .varint(7): maxVisits = try reader.readUInt32()
      case .varint(8): type = ValueType(rawValue: try reader.readInt32()) ?? .none
      case .varint(9): endSlot = try reader.readUInt32()
      case .varint(10): wantsPositions = try reader.readBool()
      default: try reader.skip(tag)
      }
    }
  }
}

/// One slice of a shard's matching keys.
package struct KeysPartReplyView {
  package let keys: RepeatedBytes
  package private(set) var count = 0
  package private(set) var nextSlot: UInt32 = 0
  package private(set) var nextCursor: UInt64 = 0
  /// The shard has no further keys before the end slot; otherwise go on with `nextSlot` and
  /// `nextCursor`.
  package private(set) var done = false
  /// The cursor behind each key in its slot, 0 where nothing can follow; empty unless asked for.
  package private(set) var positions = PackedPositions()

  package init(_ message: UnsafeRawBufferPointer) throws(WireError) {
    keys = RepeatedBytes(message, field: 1)
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      switch tag {
      case .bytes(1):
        _ = try reader.readBytes()
        count += 1
      case .varint(2): nextSlot = try reader.readUInt32()
      case .varint(3): nextCursor = try reader.readVarint()
      case .varint(4): done = try reader.readBool()
      case .bytes(5): positions = try PackedPositions(try reader.readBytes())
      default: try reader.skip(tag)
      }
    }
  }
}

/// Cursors as a message carries them: eight bytes each, little-endian. Borrows the message.
package struct PackedPositions {
  private let bytes: UnsafeRawBufferPointer

  init() {
    bytes = noBytes
  }

  init(_ bytes: UnsafeRawBufferPointer) throws(WireError) {
    guard bytes.count.isMultiple(of: 8) else { throw .truncated }
    self.bytes = bytes
  }

  package var count: Int { bytes.count / 8 }

  /// - Parameter index: below `count`.
  package subscript(index: Int) -> UInt64 {
    precondition(index >= 0 && index < count)
    return UInt64(
      littleEndian: bytes.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self))
  }
}

/// Asks a shard to remove one slice of a database's keys.
package struct ResetPartRequest: Hashable, Sendable {
  package var database: UInt32 = 0
  package var allDatabases = false
  package var startSlot: UInt32 = 0
  /// Bound of the slice: keys removed or looked at.
  package var maxVisits: UInt32 = 0

  package init() {}

  package init(_ message: UnsafeRawBufferPointer) throws(WireError) {
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      switch tag {
      case .varint(1): database = try reader.readUInt32()
      case .varint(2): allDatabases = try reader.readBool()
      case .varint(3): startSlot = try reader.readUInt32()
      case .varint(4): maxVisits = try reader.readUInt32()
      default: try reader.skip(tag)
      }
    }
  }
}

/// What one slice of a reset removed.
package struct ResetPartReply: Hashable, Sendable {
  package var removed: Int64 = 0
  package var nextSlot: UInt32 = 0
  package var done = false

  package init(removed: Int64, nextSlot: UInt32, done: Bool) {
    self.removed = removed
    self.nextSlot = nextSlot
    self.done = done
  }

  package init(_ message: UnsafeRawBufferPointer) throws(WireError) {
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      switch tag {
      case .varint(1): removed = try reader.readInt64()
      case .varint(2): nextSlot = try reader.readUInt32()
      case .varint(3): done = try reader.readBool()
      default: try reader.skip(tag)
      }
    }
  }
}

/// What a shard answers, on the call's own lane, in place of a response too long for that lane: the
/// response follows in pieces on the bulk lane, as the router grants credit for them.
package struct LargeReplyNotice: Hashable, Sendable {
  /// The length of the response message, in bytes.
  package private(set) var totalBytes: UInt64 = 0

  package init(_ message: UnsafeRawBufferPointer) throws(WireError) {
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      if tag == .varint(1) {
        totalBytes = try reader.readVarint()
      } else {
        try reader.skip(tag)
      }
    }
  }
}

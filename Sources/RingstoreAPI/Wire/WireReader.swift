// Reads a protobuf message field by field from borrowed bytes, without a copy and without trust.
// A value type over a pointer: valid as long as the bytes are, on whichever thread borrowed them.
//
// Invariant: 0 <= offset <= bytes.count. Every access is checked against it, in release builds
// too, because the buffer's own subscript is checked in debug builds only.

package struct WireReader {
  /// Groups may nest this deep. Other protobuf runtimes draw the line near here as well.
  package static let groupDepthMax = 100

  private let bytes: UnsafeRawBufferPointer
  private var offset = 0

  package init(_ bytes: UnsafeRawBufferPointer) {
    self.bytes = bytes
  }

  package var isAtEnd: Bool { offset == bytes.count }

  /// Bytes that were read.
  var position: Int { offset }

  /// The tag of the next field, or nil at the end of the message.
  ///
  /// The caller must consume the value (one `read...` or `skip`) before the next call. An end-group
  /// tag is refused here: inside a group only `skip` reads.
  package mutating func nextTag() throws(WireError) -> WireTag? {
    guard offset < bytes.count else { return nil }
    let tag = try readTag()
    guard tag.wire != .endGroup else { throw .badTag }
    return tag
  }

  package mutating func readVarint() throws(WireError) -> UInt64 {
    guard offset < bytes.count else { throw .truncated }
    let first = bytes[offset]
    if first < 0x80 {
      offset &+= 1
      return UInt64(first)
    }
    return try readLongVarint()
  }

  /// A `sint32` or `sint64`.
  package mutating func readSInt() throws(WireError) -> Int64 {
    let raw = try readVarint()
    return Int64(bitPattern: raw >> 1) ^ -Int64(bitPattern: raw & 1)
  }

  package mutating func readInt64() throws(WireError) -> Int64 {
    Int64(bitPattern: try readVarint())
  }

  /// A `uint32`; higher bits are dropped, as every protobuf decoder drops them.
  package mutating func readUInt32() throws(WireError) -> UInt32 {
    UInt32(truncatingIfNeeded: try readVarint())
  }

  /// An `int32` or an enum's number.
  package mutating func readInt32() throws(WireError) -> Int32 {
    Int32(truncatingIfNeeded: try readVarint())
  }

  package mutating func readBool() throws(WireError) -> Bool {
    try readVarint() != 0
  }

  /// A `bytes`, `string` or message field: a slice of the message, not a copy.
  package mutating func readBytes() throws(WireError) -> UnsafeRawBufferPointer {
    let length = try readVarint()
    guard length <= UInt64(bytes.count &- offset) else { throw .truncated }
    let start = offset
    offset &+= Int(length)
    return UnsafeRawBufferPointer(rebasing: bytes[start..<offset])
  }

  /// The bytes of the next field, if it has this tag of one byte and is shorter than 128 bytes, as
  /// most are; nil: it may be another field, nothing was read.
  @inline(__always)
  mutating func readShortBytes(_ tag: UInt32) -> UnsafeRawBufferPointer? {
    guard bytes.count &- offset >= 2, tag < 0x80, let memory = bytes.baseAddress else { return nil }
    let next = memory + offset
    let length = Int(next.load(fromByteOffset: 1, as: UInt8.self))
    guard UInt32(next.load(as: UInt8.self)) == tag, length < 0x80,
      length <= bytes.count &- offset &- 2
    else { return nil }
    offset &+= 2 &+ length
    return UnsafeRawBufferPointer(start: next + 2, count: length)
  }

  /// The next `count` bytes; nil if there are fewer.
  @inline(__always)
  mutating func takeMemory(_ count: Int) -> UnsafeRawPointer? {
    guard bytes.count &- offset >= count, let memory = bytes.baseAddress else { return nil }
    defer { offset &+= count }
    return memory + offset
  }

  package mutating func readFixed32() throws(WireError) -> UInt32 {
    guard bytes.count &- offset >= 4 else { throw .truncated }
    let value = bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
    offset &+= 4
    return UInt32(littleEndian: value)
  }

  package mutating func readFixed64() throws(WireError) -> UInt64 {
    guard bytes.count &- offset >= 8 else { throw .truncated }
    let value = bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
    offset &+= 8
    return UInt64(littleEndian: value)
  }

  /// Passes over the value that belongs to `tag`, whole groups included.
  ///
  /// Groups are walked with a counter of open groups and their numbers on a small stack, not by
  /// recursion: a peer chooses the depth.
  package mutating func skip(_ tag: WireTag) throws(WireError) {
    guard tag.wire == .startGroup else { return try skipValue(tag) }
    var open = [tag.field]
    while let innermost = open.last {
      guard offset < bytes.count else { throw .truncated }
      let inner = try readTag()
      switch inner.wire {
      case .startGroup:
        guard open.count < Self.groupDepthMax else { throw .nestingTooDeep }
        open.append(inner.field)
      case .endGroup:
        guard inner.field == innermost else { throw .badTag }
        open.removeLast()
      default:
        try skipValue(inner)
      }
    }
  }

  private mutating func skipValue(_ tag: WireTag) throws(WireError) {
    switch tag.wire {
    case .varint: _ = try readVarint()
    case .fixed64: _ = try readFixed64()
    case .bytes: _ = try readBytes()
    case .fixed32: _ = try readFixed32()
    case .startGroup, .endGroup: throw .badTag
    }
  }

  private mutating func readTag() throws(WireError) -> WireTag {
    let start = offset
    let raw = try readVarint()
    guard offset &- start <= 5, raw <= UInt64(UInt32.max) else { throw .varintTooLong }
    let value = UInt32(truncatingIfNeeded: raw)
    guard let tag = WireTag(validating: value) else {
      throw value >> 3 == 0 ? .badTag : .wrongWireType
    }
    return tag
  }

  private mutating func readLongVarint() throws(WireError) -> UInt64 {
    var value: UInt64 = 0
    var shift: UInt64 = 0
    while shift < 70 {
      guard offset < bytes.count else { throw .truncated }
      let byte = bytes[offset]
      offset &+= 1
      value |= UInt64(byte & 0x7f) &<< shift
      if byte < 0x80 { return value }
      shift &+= 7
    }
    throw .varintTooLong
  }
}

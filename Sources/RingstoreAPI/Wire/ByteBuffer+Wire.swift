// Protobuf fields appended to a ByteBuffer, the caller's own and on the caller's thread. Each call
// checks the capacity once, whatever it writes. "Optional" forms leave out what equals the default.

import NIOCore

extension ByteBuffer {
  package mutating func writeVarint(_ value: UInt64) {
    writeFields(size: WireSize.varint(value)) { $0.put(varint: value) }
  }

  package mutating func writeTag(_ tag: WireTag) {
    writeVarint(UInt64(tag.rawValue))
  }

  /// A `bytes`, `string` or message field, written even when it is empty (a repeated element is).
  package mutating func writeBytesField(_ field: Int, _ bytes: UnsafeRawBufferPointer) {
    writeFields(size: WireSize.bytesField(field, count: bytes.count)) {
      $0.put(field, bytes: bytes)
    }
  }

  /// A `string` field; nothing for the empty string.
  package mutating func writeOptionalStringField(_ field: Int, _ text: String) {
    guard !text.isEmpty else { return }
    var text = text
    text.withUTF8 { writeBytesField(field, UnsafeRawBufferPointer($0)) }
  }

  package mutating func writeOptionalBytesField(_ field: Int, _ bytes: UnsafeRawBufferPointer) {
    if !bytes.isEmpty { writeBytesField(field, bytes) }
  }

  package mutating func writeVarintField(_ field: Int, _ value: UInt64) {
    writeFields(size: WireSize.tag(field) + WireSize.varint(value)) {
      $0.put(field, varint: value)
    }
  }

  /// A varint field; nothing for 0.
  package mutating func writeOptionalVarintField(_ field: Int, _ value: UInt64) {
    if value != 0 { writeVarintField(field, value) }
  }

  /// An `int32` or `int64` field; negative numbers take ten bytes. Nothing for 0.
  package mutating func writeOptionalIntField(_ field: Int, _ value: Int64) {
    writeOptionalVarintField(field, UInt64(bitPattern: value))
  }

  /// A `sint32` or `sint64` field; nothing for 0.
  package mutating func writeOptionalSIntField(_ field: Int, _ value: Int64) {
    writeOptionalVarintField(field, zigZag(value))
  }

  /// A `bool` field; nothing for false.
  package mutating func writeOptionalBoolField(_ field: Int, _ value: Bool) {
    if value { writeVarintField(field, 1) }
  }

  /// Reserves `size` bytes, lets `body` write at most that many, and keeps what it wrote.
  @inline(__always)
  mutating func writeFields(size: Int, _ body: (inout WireCursor) -> Void) {
    let start = writerIndex
    reserveCapacity(minimumWritableBytes: size)
    let end = withVeryUnsafeMutableBytes { memory in
      var cursor = WireCursor(memory, at: start)
      body(&cursor)
      return cursor.offset
    }
    assert(end - start <= size, "a writer reserved too little")
    moveWriterIndex(to: end)
  }
}

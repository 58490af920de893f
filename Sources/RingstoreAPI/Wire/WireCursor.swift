// Writes protobuf fields into memory that has been reserved already, so that a message of several
// fields costs one capacity check instead of one per byte. Lives inside one closure over a buffer's
// memory; the caller has computed the size with `WireSize`, so nothing is checked here again.

@usableFromInline
package struct WireCursor {
  private let memory: UnsafeMutableRawBufferPointer
  /// Where the next byte goes: an index into the buffer.
  private(set) var offset: Int

  @inline(__always)
  init(_ memory: UnsafeMutableRawBufferPointer, at offset: Int) {
    self.memory = memory
    self.offset = offset
  }

  @inline(__always)
  mutating func put(byte: UInt8) {
    memory[offset] = byte
    offset &+= 1
  }

  @inline(__always)
  mutating func put(varint value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      put(byte: UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    put(byte: UInt8(truncatingIfNeeded: rest))
  }

  /// A varint stretched to `width` bytes with continuation bits: longer than need be, and valid.
  @inline(__always)
  mutating func put(varint value: UInt64, width: Int) {
    var rest = value
    for _ in 1..<max(width, 1) {
      put(byte: UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    put(byte: UInt8(truncatingIfNeeded: rest) & 0x7f)
  }

  @inline(__always)
  mutating func put(tag: WireTag) {
    put(varint: UInt64(tag.rawValue))
  }

  @inline(__always)
  mutating func put(_ field: Int, bytes: UnsafeRawBufferPointer) {
    put(tag: .bytes(field))
    put(varint: UInt64(truncatingIfNeeded: bytes.count))
    put(raw: bytes)
  }

  @inline(__always)
  mutating func put(_ field: Int, optionalBytes bytes: UnsafeRawBufferPointer) {
    if !bytes.isEmpty { put(field, bytes: bytes) }
  }

  @inline(__always)
  mutating func put(_ field: Int, varint value: UInt64) {
    put(tag: .varint(field))
    put(varint: value)
  }

  @inline(__always)
  mutating func put(_ field: Int, optionalVarint value: UInt64) {
    if value != 0 { put(field, varint: value) }
  }

  @inline(__always)
  mutating func put(fixed64 value: UInt64) {
    withUnsafeBytes(of: value.littleEndian) { put(raw: $0) }
  }

  @inline(__always)
  mutating func put(_ field: Int, fixed64 value: UInt64) {
    put(tag: .fixed64(field))
    put(fixed64: value)
  }

  @inline(__always)
  mutating func put(_ field: Int, optionalFixed64 value: UInt64) {
    if value != 0 { put(field, fixed64: value) }
  }

  @inline(__always)
  mutating func put(_ field: Int, message: some WireMessage) {
    put(tag: .bytes(field))
    put(varint: UInt64(truncatingIfNeeded: message.byteCount))
    message.write(to: &self)
  }

  @inline(__always)
  mutating func put(raw bytes: UnsafeRawBufferPointer) {
    guard let source = bytes.baseAddress, let target = memory.baseAddress else { return }
    (target + offset).copyMemory(from: source, byteCount: bytes.count)
    offset &+= bytes.count
  }
}

// Writes protobuf fields into memory that has been reserved already, so that a message of several
// fields costs one capacity check instead of one per byte. Lives inside one closure of
// `ByteBuffer.writeWithUnsafeMutableBytes`; the caller has computed the size with `WireSize`.

struct WireCursor {
  private let memory: UnsafeMutableRawBufferPointer
  private(set) var offset = 0

  init(_ memory: UnsafeMutableRawBufferPointer) {
    self.memory = memory
  }

  mutating func put(byte: UInt8) {
    memory[offset] = byte
    offset &+= 1
  }

  mutating func put(varint value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      put(byte: UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    put(byte: UInt8(truncatingIfNeeded: rest))
  }

  /// A varint stretched to `width` bytes with continuation bits: longer than need be, and valid.
  mutating func put(varint value: UInt64, width: Int) {
    var rest = value
    for _ in 1..<max(width, 1) {
      put(byte: UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    put(byte: UInt8(truncatingIfNeeded: rest) & 0x7f)
  }

  mutating func put(tag: WireTag) {
    put(varint: UInt64(tag.rawValue))
  }

  mutating func put(_ field: Int, bytes: UnsafeRawBufferPointer) {
    put(tag: .bytes(field))
    put(varint: UInt64(truncatingIfNeeded: bytes.count))
    put(raw: bytes)
  }

  mutating func put(_ field: Int, optionalBytes bytes: UnsafeRawBufferPointer) {
    if !bytes.isEmpty { put(field, bytes: bytes) }
  }

  mutating func put(_ field: Int, varint value: UInt64) {
    put(tag: .varint(field))
    put(varint: value)
  }

  mutating func put(_ field: Int, optionalVarint value: UInt64) {
    if value != 0 { put(field, varint: value) }
  }

  mutating func put(raw bytes: UnsafeRawBufferPointer) {
    guard !bytes.isEmpty else { return }
    UnsafeMutableRawBufferPointer(rebasing: memory[offset...]).copyMemory(from: bytes)
    offset &+= bytes.count
  }
}

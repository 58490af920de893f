// Reads the output of ByteWriter from untrusted bytes, never past their end.

struct ByteReader {
  private(set) var rest: UnsafeRawBufferPointer

  @inline(__always)
  init(_ bytes: UnsafeRawBufferPointer) { rest = bytes }

  @inline(__always)
  var isAtEnd: Bool { rest.isEmpty }

  @inline(__always)
  mutating func read<Number: FixedWidthInteger & BitwiseCopyable>(
    _ type: Number.Type
  ) throws(LogDefect) -> Number {
    let size = MemoryLayout<Number>.size
    guard rest.count >= size else { throw .cutShort }
    let number = Number(littleEndian: rest.loadUnaligned(as: Number.self))
    rest = UnsafeRawBufferPointer(rebasing: rest[size...])
    return number
  }

  /// A varint of at most 64 bits, in as few bytes as possible: a number has one form.
  mutating func readVarint() throws(LogDefect) -> UInt64 {
    var number: UInt64 = 0
    var shift: UInt64 = 0
    while true {
      let byte = try read(UInt8.self)
      let bits = UInt64(byte & 0x7f)
      guard shift < 63 || bits <= 1 else { throw .badNumber }
      number |= bits << shift
      if byte < 0x80 {
        guard byte != 0 || shift == 0 else { throw .badNumber }
        return number
      }
      shift += 7
      guard shift <= 63 else { throw .badNumber }
    }
  }

  /// A count, a length or an index.
  mutating func readCount() throws(LogDefect) -> Int {
    guard let count = Int(exactly: try readVarint()) else { throw .badNumber }
    return count
  }

  mutating func readBytes(_ count: Int) throws(LogDefect) -> UnsafeRawBufferPointer {
    guard count >= 0, count <= rest.count else { throw .cutShort }
    let bytes = UnsafeRawBufferPointer(rebasing: rest[..<count])
    rest = UnsafeRawBufferPointer(rebasing: rest[count...])
    return bytes
  }

  mutating func readCounted() throws(LogDefect) -> UnsafeRawBufferPointer {
    try readBytes(readCount())
  }

  func expectEnd() throws(LogDefect) {
    guard rest.isEmpty else { throw .leftOver }
  }
}

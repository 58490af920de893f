// Writes the fields of the log's formats: little-endian numbers of fixed width, LEB128 varints, and
// bytes after their length. The caller has reserved the space: nothing is checked here.

struct ByteWriter {
  static let varintBytesMax = 10

  private(set) var end: UnsafeMutableRawPointer

  @inline(__always)
  init(_ start: UnsafeMutableRawPointer) { end = start }

  @inline(__always)
  mutating func write<Number: FixedWidthInteger & BitwiseCopyable>(_ number: Number) {
    end.storeBytes(of: number.littleEndian, as: Number.self)
    end += MemoryLayout<Number>.size
  }

  @inline(__always)
  mutating func writeVarint(_ number: UInt64) {
    if number < 0x80 {
      end.storeBytes(of: UInt8(truncatingIfNeeded: number), as: UInt8.self)
      end += 1
    } else {
      writeLongVarint(number)
    }
  }

  @inline(never)
  private mutating func writeLongVarint(_ number: UInt64) {
    var rest = number
    while rest >= 0x80 {
      write(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    write(UInt8(truncatingIfNeeded: rest))
  }

  /// A count, a length or an index.
  @inline(__always)
  mutating func writeVarint(_ number: Int) { writeVarint(UInt64(truncatingIfNeeded: number)) }

  @inline(__always)
  mutating func writeBytes(_ bytes: UnsafeRawBufferPointer) {
    guard let start = bytes.baseAddress else { return }
    end.copyMemory(from: start, byteCount: bytes.count)
    end += bytes.count
  }

  /// The length as a varint, then the bytes.
  @inline(__always)
  mutating func writeCounted(_ bytes: UnsafeRawBufferPointer) {
    writeVarint(bytes.count)
    writeBytes(bytes)
  }

  /// The maximum size written by `writeCounted`.
  @inline(__always)
  static func countedBytesMax(_ count: Int) -> Int { varintBytesMax &+ count }
}

// A repeated field of numbers, packed or one by one or both: in an encoded message, or elsewhere.
// Valid as long as the bytes are; any thread.

@usableFromInline
package struct RepeatedNumbers: Sequence {
  enum Encoding: UInt32 {
    case varint = 0
    case fixed64 = 1
  }

  /// The message, or the memory of the numbers.
  private let base: UnsafeRawBufferPointer
  /// The field's number; 0: `base` holds the numbers.
  private let field: UInt32
  private let encoding: Encoding
  package internal(set) var count = 0

  /// No numbers.
  @usableFromInline
  package init() {
    self.init(in: noBytes, 0, .varint)
  }

  /// Numbers in other memory.
  package init(_ numbers: UnsafeBufferPointer<UInt64>) {
    self.init(in: UnsafeRawBufferPointer(numbers), 0, .varint)
    count = numbers.count
  }

  init(in message: UnsafeRawBufferPointer, _ field: UInt32, _ encoding: Encoding) {
    base = message
    self.field = field
    self.encoding = encoding
  }

  /// Counts the numbers of a packed run.
  ///
  /// - Throws: if the packed field is malformed.
  mutating func notePacked(_ run: UnsafeRawBufferPointer) throws(WireError) {
    var reader = WireReader(run)
    while !reader.isAtEnd {
      _ = try reader.readNumber(encoding)
      count &+= 1
    }
  }

  @usableFromInline
  package func makeIterator() -> Iterator {
    Iterator(reader: WireReader(base), field: field, encoding: encoding)
  }

  @usableFromInline
  package struct Iterator: IteratorProtocol {
    fileprivate var reader: WireReader
    /// The rest of a packed run.
    fileprivate var run = WireReader(noBytes)
    fileprivate let field: UInt32
    fileprivate let encoding: Encoding

    fileprivate init(reader: WireReader, field: UInt32, encoding: Encoding) {
      self.reader = reader
      self.field = field
      self.encoding = encoding
    }

    @usableFromInline
    package mutating func next() -> UInt64? {
      do throws(WireError) {
        guard field != 0 else {
          return reader.takeMemory(8)?.assumingMemoryBound(to: UInt64.self).pointee
        }
        if !run.isAtEnd { return try run.readNumber(encoding) }
        while let tag = try reader.nextTag() {
          if tag.rawValue == field << 3 | encoding.rawValue {
            return try reader.readNumber(encoding)
          }
          if tag.rawValue == field << 3 | 2 {
            run = WireReader(try reader.readBytes())
            if !run.isAtEnd { return try run.readNumber(encoding) }
          } else {
            try reader.skip(tag)
          }
        }
      } catch {
        // Can't happen on a checked message; ending is safe in any case.
      }
      return nil
    }
  }

  /// Bytes of the numbers alone, as one packed run.
  private func runByteCount(_ encoding: Encoding) -> Int {
    if encoding == .fixed64 { return count &* 8 }
    var size = 0
    for number in self { size &+= WireSize.varint(number) }
    return size
  }

  func byteCount(field: Int, _ encoding: Encoding) -> Int {
    count == 0 ? 0 : WireSize.bytesField(field, count: runByteCount(encoding))
  }

  /// Writes one packed run.
  func write(field: Int, _ encoding: Encoding, to cursor: inout WireCursor) {
    guard count > 0 else { return }
    cursor.put(tag: .bytes(field))
    cursor.put(varint: UInt64(truncatingIfNeeded: runByteCount(encoding)))
    for number in self {
      if encoding == .varint {
        cursor.put(varint: number)
      } else {
        cursor.put(fixed64: number)
      }
    }
  }
}

extension WireReader {
  fileprivate mutating func readNumber(
    _ encoding: RepeatedNumbers.Encoding
  ) throws(WireError) -> UInt64 {
    encoding == .varint ? try readVarint() : try readFixed64()
  }
}

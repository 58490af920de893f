// Fields of messages appended to a ByteBuffer one by one, if a message isn't made as a whole: the
// buffer belongs to the caller and its thread. Each call checks the capacity once.

import NIOCore

extension ByteBuffer {
  /// A `bytes`, `string` or message field; nothing for the empty value.
  package mutating func write(_ field: BytesField, _ bytes: UnsafeRawBufferPointer) {
    if !bytes.isEmpty { append(field, bytes) }
  }

  /// A `string` field; nothing for the empty string.
  package mutating func write(_ field: BytesField, _ text: String) {
    if !text.isEmpty { append(field, text) }
  }

  package mutating func write(_ field: UIntField, _ value: UInt64) {
    writeFields(size: WireSize.optionalVarintField(field.number, value)) {
      $0.put(field.number, optionalVarint: value)
    }
  }

  package mutating func write(_ field: IntField, _ value: Int64) {
    write(UIntField(field.number), UInt64(bitPattern: value))
  }

  package mutating func write(_ field: IntField, _ value: some WireEnum) {
    write(field, Int64(value.rawValue))
  }

  package mutating func write(_ field: BoolField, _ value: Bool) {
    write(UIntField(field.number), value ? 1 : 0)
  }

  package mutating func write(_ field: Fixed64Field, _ value: Double) {
    writeFields(size: WireSize.optionalFixed64Field(field.number, value.bitPattern)) {
      $0.put(field.number, optionalFixed64: value.bitPattern)
    }
  }

  // MARK: - Fields written with any value: elements of repeated fields, members of oneofs

  package mutating func append(_ field: BytesField, _ bytes: UnsafeRawBufferPointer) {
    writeFields(size: WireSize.bytesField(field.number, count: bytes.count)) {
      $0.put(field.number, bytes: bytes)
    }
  }

  package mutating func append(_ field: BytesField, _ message: some WireMessage) {
    writeFields(size: WireSize.bytesField(field.number, count: message.byteCount)) {
      $0.put(field.number, message: message)
    }
  }

  /// A `string` field.
  package mutating func append(_ field: BytesField, _ text: String) {
    var text = text
    text.withUTF8 { append(field, UnsafeRawBufferPointer($0)) }
  }

  package mutating func append(_ field: UIntField, _ value: UInt64) {
    writeFields(size: WireSize.varintField(field.number, value)) {
      $0.put(field.number, varint: value)
    }
  }

  package mutating func append(_ field: IntField, _ value: Int64) {
    append(UIntField(field.number), UInt64(bitPattern: value))
  }

  package mutating func append(_ field: BoolField, _ value: Bool) {
    append(UIntField(field.number), value ? 1 : 0)
  }

  /// Tag and length of a field whose `count` bytes are written next.
  package mutating func writeHead(of field: BytesField, count: Int) {
    writeFields(size: WireSize.bytesField(field.number, count: count) &- count) { cursor in
      cursor.put(tag: .bytes(field.number))
      cursor.put(varint: UInt64(truncatingIfNeeded: count))
    }
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

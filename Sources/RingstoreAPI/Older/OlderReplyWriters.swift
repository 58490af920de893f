// The replies of the older services (Protos/older), each written as one whole message into the
// buffer it is sent from. Who calls these has seen to it that text is UTF-8.

import NIOCore

extension ByteBuffer {
  /// `SetResponse` of KVStore.
  package mutating func writeOlderSetResponse(success: Bool) {
    writeOptionalBoolField(1, success)
  }

  /// `GetResponse` of KVStore; nil: not found.
  package mutating func writeOlderGetResponse(_ value: Int32?) {
    writeOptionalIntField(1, Int64(value ?? 0))
    writeOptionalBoolField(2, value != nil)
  }

  /// `Status` of KeyStore.
  package mutating func writeOlderStatus(_ result: String) {
    writeOptionalStringField(1, result)
  }

  /// `ResponseVal` of KeyStore for a key without a value: `noval` is set, to true.
  package mutating func writeOlderNoValue() {
    writeVarintField(1, 1)
  }

  /// `ResponseVal` of KeyStore with a value.
  package mutating func writeOlderValue(_ text: UnsafeRawBufferPointer) {
    let size = WireSize.optionalBytesField(1, count: text.count)
    writeFields(size: WireSize.bytesField(2, count: size)) { cursor in
      cursor.put(tag: .bytes(2))
      cursor.put(varint: UInt64(truncatingIfNeeded: size))
      cursor.put(1, optionalBytes: text)
    }
  }

  /// `Deque` of KeyStore but for its data: after this call comes one `writeOlderDequeElement` each.
  package mutating func writeOlderDequeHead(key: UnsafeRawBufferPointer) {
    let size = WireSize.optionalBytesField(1, count: key.count)
    writeFields(size: WireSize.bytesField(1, count: size)) { cursor in
      cursor.put(tag: .bytes(1))
      cursor.put(varint: UInt64(truncatingIfNeeded: size))
      cursor.put(1, optionalBytes: key)
    }
  }

  package mutating func writeOlderDequeElement(_ text: UnsafeRawBufferPointer) {
    writeBytesField(2, text)
  }
}

// The requests of one-key calls, written straight into the buffer they are sent from: for the
// client, the line protocol and fan-outs that turn into many small calls. Each method writes one
// whole message. The buffer's thread. Rare requests are built with the generated messages.

import NIOCore

extension ByteBuffer {
  /// A whole `Key`: the request of Get, Delete, LPop, RPop, LLen, Exists and Type.
  package mutating func writeKeyRequest(key: UnsafeRawBufferPointer, database: UInt32) {
    writeFields(size: WireSize.bytesField(1, count: key.count) + 6) { cursor in
      cursor.put(1, optionalBytes: key)
      cursor.put(2, optionalVarint: UInt64(database))
    }
  }

  /// A whole `KeyValue`: the request of Set.
  package mutating func writeSetRequest(
    key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer, database: UInt32
  ) {
    let size = WireSize.bytesField(1, count: key.count)
    writeFields(size: size + WireSize.bytesField(2, count: value.count) + 6) { cursor in
      cursor.put(1, optionalBytes: key)
      cursor.put(2, optionalBytes: value)
      cursor.put(3, optionalVarint: UInt64(database))
    }
  }

  /// A `ListInsert`, the request of LPush and RPush, but for its values: after this call comes one
  /// `writeListInsertValue` for each.
  package mutating func writeListInsertHead(key: UnsafeRawBufferPointer, database: UInt32) {
    writeFields(size: WireSize.bytesField(1, count: key.count) + 6) { cursor in
      cursor.put(1, optionalBytes: key)
      cursor.put(3, optionalVarint: UInt64(database))
    }
  }

  package mutating func writeListInsertValue(_ value: UnsafeRawBufferPointer) {
    writeBytesField(2, value)
  }

  /// A whole `ListRange`: the request of LRange.
  package mutating func writeListRangeRequest(
    key: UnsafeRawBufferPointer, start: Int64, stop: Int64, database: UInt32
  ) {
    writeFields(size: WireSize.bytesField(1, count: key.count) + 11 + 11 + 6) { cursor in
      cursor.put(1, optionalBytes: key)
      cursor.put(2, optionalVarint: zigZag(start))
      cursor.put(3, optionalVarint: zigZag(stop))
      cursor.put(4, optionalVarint: UInt64(database))
    }
  }

  /// A whole `IncrByRequest`.
  package mutating func writeIncrByRequest(
    key: UnsafeRawBufferPointer, delta: Int64, database: UInt32
  ) {
    writeFields(size: WireSize.bytesField(1, count: key.count) + 11 + 6) { cursor in
      cursor.put(1, optionalBytes: key)
      cursor.put(2, optionalVarint: zigZag(delta))
      cursor.put(3, optionalVarint: UInt64(database))
    }
  }
}

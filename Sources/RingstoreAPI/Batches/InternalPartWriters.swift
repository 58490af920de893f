// Writers of the fan-out parts' messages; their grammar is in InternalParts.swift.

import NIOCore

extension ByteBuffer {
  package mutating func writeKeysPartRequest(_ request: KeysPartRequest) {
    if request.pattern.kind != .everything {
      let mark = beginLengthDelimited(1, sizeHint: request.pattern.text.count + 4)
      if let field = request.pattern.textField { writeBytesField(field, request.pattern.text) }
      endLengthDelimited(mark)
    }
    writeFields(size: 6 * 6 + 11 + 2 + 2) { cursor in
      cursor.put(2, optionalVarint: UInt64(request.database))
      cursor.put(3, optionalVarint: UInt64(request.startSlot))
      cursor.put(4, optionalVarint: request.cursor)
      cursor.put(5, optionalVarint: UInt64(request.maxKeys))
      cursor.put(6, optionalVarint: UInt64(request.maxBytes))
      cursor.put(7, optionalVarint: UInt64(request.maxVisits))
      cursor.put(8, optionalVarint: UInt64(UInt32(bitPattern: request.type.rawValue)))
      cursor.put(9, optionalVarint: UInt64(request.endSlot))
      cursor.put(10, optionalVarint: request.wantsPositions ? 1 : 0)
    }
  }

  /// One key of a KeysPartReply. The message is: any number of these, then the end.
  package mutating func writeKeysPartKey(_ key: UnsafeRawBufferPointer) {
    writeBytesField(1, key)
  }

  /// The cursors behind the keys of a KeysPartReply, one for each key, in their order: between the
  /// keys and the end. O(keys).
  package mutating func writeKeysPartPositions(_ positions: [UInt64]) {
    guard !positions.isEmpty else { return }
    writeFields(size: WireSize.bytesField(5, count: positions.count * 8)) { cursor in
      cursor.put(tag: .bytes(5))
      cursor.put(varint: UInt64(positions.count * 8))
      for position in positions {
        withUnsafeBytes(of: position.littleEndian) { cursor.put(raw: $0) }
      }
    }
  }

  package mutating func writeKeysPartEnd(nextSlot: UInt32, nextCursor: UInt64, done: Bool) {
    writeFields(size: 6 + 11 + 2) { cursor in
      cursor.put(2, optionalVarint: UInt64(nextSlot))
      cursor.put(3, optionalVarint: nextCursor)
      cursor.put(4, optionalVarint: done ? 1 : 0)
    }
  }

  package mutating func writeResetPartRequest(_ request: ResetPartRequest) {
    writeFields(size: 6 + 2 + 6 + 6) { cursor in
      cursor.put(1, optionalVarint: UInt64(request.database))
      cursor.put(2, optionalVarint: request.allDatabases ? 1 : 0)
      cursor.put(3, optionalVarint: UInt64(request.startSlot))
      cursor.put(4, optionalVarint: UInt64(request.maxVisits))
    }
  }

  package mutating func writeResetPartReply(_ reply: ResetPartReply) {
    writeFields(size: 11 + 6 + 2) { cursor in
      cursor.put(1, optionalVarint: UInt64(bitPattern: reply.removed))
      cursor.put(2, optionalVarint: UInt64(reply.nextSlot))
      cursor.put(3, optionalVarint: reply.done ? 1 : 0)
    }
  }

  /// A whole LargeReplyNotice.
  package mutating func writeLargeReplyNotice(totalBytes: UInt64) {
    writeOptionalVarintField(1, totalBytes)
  }
}

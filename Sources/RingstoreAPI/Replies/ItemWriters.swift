// The replies of MGet, MSet and MDelete: a repeated item in field 1, in request order, and in each
// item either the outcome (field 1: Value or Status) or an Error (field 2). All three messages have
// these numbers, so one set of writers serves them.

import NIOCore

/// Where an open item of a many-key reply stands in its buffer.
package struct ItemMark {
  let item: LengthMark
  let outcome: LengthMark
}

extension ByteBuffer {
  /// Opens an item; the outcome (a whole `Value` or `Status`) is written next.
  ///
  /// - Parameter sizeHint: how many bytes the outcome will probably have.
  package mutating func beginItem(sizeHint: Int = 0) -> ItemMark {
    let item = beginLengthDelimited(1, sizeHint: sizeHint == 0 ? 0 : sizeHint + 6)
    return ItemMark(item: item, outcome: beginLengthDelimited(1, sizeHint: sizeHint))
  }

  package mutating func endItem(_ mark: ItemMark) {
    endLengthDelimited(mark.outcome)
    endLengthDelimited(mark.item)
  }

  /// Takes back everything since `beginItem`, so that an error can stand there instead.
  package mutating func abandonItem(_ mark: ItemMark) {
    abandonLengthDelimited(mark.item)
  }

  /// A whole item around an outcome that is encoded already, as a shard answered it.
  package mutating func writeItem(outcome: UnsafeRawBufferPointer) {
    let inner = WireSize.bytesField(1, count: outcome.count)
    writeFields(size: WireSize.bytesField(1, count: inner)) { cursor in
      cursor.put(tag: .bytes(1))
      cursor.put(varint: UInt64(truncatingIfNeeded: inner))
      cursor.put(1, bytes: outcome)
    }
  }

  /// A whole item copied from another reply of the same kind.
  package mutating func writeEncodedItem(_ item: UnsafeRawBufferPointer) {
    writeBytesField(1, item)
  }

  /// A whole item that failed.
  package mutating func writeItem(error: CallError) {
    let mark = beginLengthDelimited(1, sizeHint: 64)
    writeError(2, error)
    endLengthDelimited(mark)
  }
}

// A batch that was read and is whole, and its records. Borrowed bytes: good until the reader that
// handed it out is called again.

package struct Batch {
  package let position: LogPosition
  package let life: UInt64
  package let epoch: UInt64
  /// The position that was known to be durable when it was written.
  package let committed: LogPosition
  package let bytes: UnsafeRawBufferPointer

  /// Behind its last byte.
  package var end: LogPosition { position + UInt64(bytes.count) }

  /// - Parameter bytes: at least a head.
  init(_ bytes: UnsafeRawBufferPointer) {
    func word(_ offset: Int) -> UInt64 {
      UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }
    position = word(BatchFormat.positionOffset)
    life = word(BatchFormat.lifeOffset)
    epoch = word(BatchFormat.epochOffset)
    committed = word(BatchFormat.committedOffset)
    self.bytes = bytes
  }

  package var records: Records {
    Records(
      rest: UnsafeRawBufferPointer(rebasing: bytes[BatchFormat.headerBytes...]), end: end)
  }

  /// Whether the records fill the batch, and there is one at least.
  var isWellFormed: Bool {
    var records = records
    while let record = records.next() {
      if record.type == 0 { return false }
    }
    return records.isAtEnd && bytes.count > BatchFormat.headerBytes
  }

  /// Walks records; ends early if one is longer than the rest.
  package struct Records: Sequence, IteratorProtocol {
    private var rest: UnsafeRawBufferPointer
    /// Of the batch.
    private let end: LogPosition

    init(rest: UnsafeRawBufferPointer, end: LogPosition) {
      self.rest = rest
      self.end = end
    }

    var isAtEnd: Bool { rest.isEmpty }

    package mutating func next() -> Record? {
      guard rest.count >= BatchFormat.recordHeaderBytes else { return nil }
      let length = Int(UInt32(littleEndian: rest.loadUnaligned(as: UInt32.self)))
      guard length <= rest.count - BatchFormat.recordHeaderBytes else { return nil }
      let recordEnd = BatchFormat.recordHeaderBytes + length
      let slot = rest.loadUnaligned(
        fromByteOffset: BatchFormat.recordSlotOffset, as: UInt16.self)
      let record = Record(
        type: rest[BatchFormat.recordTypeOffset], flags: rest[BatchFormat.recordFlagsOffset],
        slot: UInt16(littleEndian: slot),
        payload: UnsafeRawBufferPointer(rebasing: rest[BatchFormat.recordHeaderBytes..<recordEnd]),
        end: end - UInt64(rest.count - recordEnd))
      rest = UnsafeRawBufferPointer(rebasing: rest[recordEnd...])
      return record
    }
  }
}

/// One record, its payload not looked into.
package struct Record {
  package let type: UInt8
  let flags: UInt8
  /// `BatchFormat.noSlot`: it is of none.
  package let slot: UInt16
  package let payload: UnsafeRawBufferPointer
  /// The position after it.
  package let end: LogPosition

  /// - Returns: nil if this version doesn't know the type, and may skip the record.
  package func knownType() throws(LogDefect) -> RecordType? {
    if let known = RecordType(rawValue: type) { return known }
    guard flags & BatchFormat.mustUnderstand == 0 else { throw .unknownRecord(type: type) }
    return nil
  }
}

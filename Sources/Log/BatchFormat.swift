// The format of a batch in a file, and of its records.
//
//   batch  = length:u32 (of all of it) crc:u32 position:u64 life:u64 epoch:u64 committed:u64
//            record+
//   record = length:u32 (of the payload) type:u8 (not 0) flags:u8 slot:u16 (0xffff: none) payload
//   crc    = CRC32C over the batch, with 0 for the crc itself, seeded by lineage, life and position
//
// A length of 0 means unwritten space: files are preallocated, and the log ends there.

package enum BatchFormat {
  package static let headerBytes = 40
  package static let recordHeaderBytes = 8
  /// No batch is shorter: it has one record.
  package static let batchBytesMin = headerBytes + recordHeaderBytes

  static let checksumOffset = 4
  static let positionOffset = 8
  static let lifeOffset = 16
  static let epochOffset = 24
  static let committedOffset = 32

  static let recordTypeOffset = 4
  static let recordFlagsOffset = 5
  static let recordSlotOffset = 6

  /// A record that is of no slot.
  package static let noSlot: UInt16 = 0xffff
  /// The flag of records that a reader must not pass over.
  static let mustUnderstand: UInt8 = 1

  /// Writes a batch's head except for its checksum.
  @inline(__always)
  static func writeHeader(
    at start: UnsafeMutableRawPointer, length: Int, position: LogPosition, life: UInt64,
    epoch: UInt64, committed: LogPosition
  ) {
    var writer = ByteWriter(start)
    writer.write(UInt32(length))
    writer.write(UInt32(0))
    writer.write(position)
    writer.write(life)
    writer.write(epoch)
    writer.write(committed)
  }

  @inline(__always)
  static func writeRecordHeader(
    at start: UnsafeMutableRawPointer, length: Int, type: RecordType, slot: UInt16
  ) {
    var writer = ByteWriter(start)
    writer.write(UInt32(length))
    writer.write(type.rawValue)
    writer.write(Self.mustUnderstand)
    writer.write(slot)
  }

  static func setChecksum(_ checksum: UInt32, at start: UnsafeMutableRawPointer) {
    start.storeBytes(of: checksum.littleEndian, toByteOffset: checksumOffset, as: UInt32.self)
  }

  /// A complete batch of records, as arrays: for the last batch of a log, and for tools and tests,
  /// which also make batches that no writer would.
  package static func batch(
    of records: [(type: UInt8, slot: UInt16, payload: [UInt8])], position: LogPosition,
    committed: LogPosition = 0, epoch: UInt64 = 0, identity: LogIdentity
  ) -> [UInt8] {
    let count = records.reduce(headerBytes) { $0 + recordHeaderBytes + $1.payload.count }
    return [UInt8](unsafeUninitializedCapacity: count) { buffer, written in
      guard let first = buffer.baseAddress else { return }
      let start = UnsafeMutableRawPointer(first)
      writeHeader(
        at: start, length: count, position: position, life: identity.life, epoch: epoch,
        committed: committed)
      var writer = ByteWriter(start + headerBytes)
      for record in records {
        writer.write(UInt32(record.payload.count))
        writer.write(record.type)
        writer.write(mustUnderstand)
        writer.write(record.slot)
        record.payload.withUnsafeBytes { writer.writeBytes($0) }
      }
      let whole = UnsafeRawBufferPointer(start: start, count: count)
      setChecksum(checksum(whole, identity), at: start)
      written = count
    }
  }

  /// The expected checksum of a complete batch.
  static func checksum(_ batch: UnsafeRawBufferPointer, _ identity: LogIdentity) -> UInt32 {
    let position = UInt64(
      littleEndian: batch.loadUnaligned(fromByteOffset: positionOffset, as: UInt64.self))
    var checksum = Checksum.seed(identity, position)
    withUnsafeTemporaryAllocation(byteCount: 8, alignment: 8) { first in
      first.storeBytes(of: batch.loadUnaligned(as: UInt32.self), as: UInt32.self)
      first.storeBytes(of: 0, toByteOffset: checksumOffset, as: UInt32.self)
      checksum = Checksum.extend(checksum, UnsafeRawBufferPointer(first))
    }
    return Checksum.extend(checksum, UnsafeRawBufferPointer(rebasing: batch[positionOffset...]))
  }
}

/// Types of records; the numbers are in files.
package enum RecordType: UInt8, Sendable, CaseIterable {
  /// The effects of one call in one slot.
  case group = 1
  case slotMap = 2
  case slotState = 3
  case versionCeiling = 4
  case newLife = 5
  case cleanStop = 6
  case passBegin = 16
  case image = 17
  case passEnd = 18
  case imagePart = 19
}

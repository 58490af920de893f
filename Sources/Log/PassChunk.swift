// A part of a pass in flight to the file: one record, preceded by the elements of a long list if
// the record has one. The loop fills it; a writer's thread takes sealed batches from it and writes
// their bytes in place; then the loop gets it back and releases its pins.
//
// Has one owner at a time, so it crosses threads without a lock.

import Store

/// Sendable although it has state: it has one owner at a time, who passes it on behind a lock.
package final class PassChunk: @unchecked Sendable {
  /// The approximate maximum of bytes of one part's elements.
  static let partBytes = 256 << 10
  /// A longer element is written in place.
  static let copiedElementMax = 64 << 10

  private struct LongList {
    let list: PinnedList
    let slot: Int
    let database: Int
    let key: [UInt8]
    var next = 0
    var isDone: Bool { next >= list.count }
  }

  let type: RecordType
  var buffer = PieceBuffer()
  private var strings: [Store.PinnedBytes] = []
  private var longList: LongList?
  private var isRecordDone = false
  private var part = PieceBuffer()
  /// The position of the log when its record was taken.
  package let asOf: LogPosition

  init(_ type: RecordType, asOf: LogPosition) {
    self.type = type
    self.asOf = asOf
    buffer.skip(BatchFormat.batchBytesMin)
  }

  deinit {
    buffer.free()
    part.free()
  }

  /// Its approximate size in the file: small elements are estimated.
  package private(set) var byteCount = 0

  // MARK: - On the loop

  /// Nothing is added any more.
  func close() { byteCount = buffer.totalCount + (longList?.list.count ?? 0) * 16 }

  /// Whether it has one; then it gets no more keys.
  var hasLongList: Bool { longList != nil }

  func hold(_ pin: Store.PinnedBytes) { strings.append(pin) }

  func hold(_ list: PinnedList, of entry: ImageEntry) {
    precondition(longList == nil, "an image with a long list is full")
    longList = LongList(
      list: list, slot: entry.slot, database: entry.database, key: Array(entry.key))
  }

  /// Releases its pins: on the loop, once it was returned. Its batches are invalid then.
  package func release() {
    strings = []
    longList = nil
    isRecordDone = true
  }

  // MARK: - On the writer's thread

  /// The next sealed batch, as pieces to be written one after another.
  /// - Parameter position: its begin: the file's `firstPosition` plus the bytes of batches written
  ///   since.
  /// - Returns: nil if none remains. The bytes are valid until the next call.
  package func nextBatch(
    at position: LogPosition, committed: LogPosition, epoch: UInt64, identity: LogIdentity
  ) -> [UnsafeRawBufferPointer]? {
    if let longList, !longList.isDone {
      writePart(of: longList)
      return Self.seal(&part, .imagePart, position, committed, epoch, identity)
    }
    guard !isRecordDone else { return nil }
    isRecordDone = true
    return Self.seal(&buffer, type, position, committed, epoch, identity)
  }

  private func writePart(of long: LongList) {
    part.removeAll()
    part.skip(BatchFormat.batchBytesMin)
    var writer = ByteWriter(part.room(10 + 3 * ByteWriter.varintBytesMax + long.key.count))
    writer.write(asOf)
    writer.write(UInt16(long.slot))
    writer.writeVarint(long.database)
    long.key.withUnsafeBytes { writer.writeCounted($0) }
    writer.writeVarint(long.next)
    part.wrote(upTo: writer.end)
    var next = long.next
    long.list.forEach(from: next) { element in
      let isCopied = element.count <= Self.copiedElementMax
      let copied = isCopied ? element.count : 0
      var writer = ByteWriter(part.room(ByteWriter.countedBytesMax(copied)))
      writer.writeVarint(element.count)
      if isCopied { writer.writeBytes(element) }
      part.wrote(upTo: writer.end)
      if !isCopied { part.insert(element) }
      next += 1
      return part.totalCount < Self.partBytes
    }
    longList?.next = next
  }

  private static func seal(
    _ buffer: inout PieceBuffer, _ type: RecordType, _ position: LogPosition,
    _ committed: LogPosition, _ epoch: UInt64, _ identity: LogIdentity
  ) -> [UnsafeRawBufferPointer] {
    let length = buffer.totalCount
    // An image is bounded by PassMaker's limits, a part by `partBytes` and a value.
    precondition(length <= UInt32.max)
    BatchFormat.writeHeader(
      at: buffer.address(0), length: length, position: position, life: identity.life,
      epoch: epoch, committed: committed)
    BatchFormat.writeRecordHeader(
      at: buffer.address(BatchFormat.headerBytes), length: length - BatchFormat.batchBytesMin,
      type: type, slot: BatchFormat.noSlot)
    let pieces = buffer.pieces()
    var checksum = Checksum.seed(identity, position)
    for piece in pieces { checksum = Checksum.extend(checksum, piece) }
    BatchFormat.setChecksum(checksum, at: buffer.address(0))
    return pieces
  }
}

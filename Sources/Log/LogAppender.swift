// Where a store's effects become bytes of the log: observes the store, and writes each effect into
// the open batch while the bytes that it borrows are there. The effects of one call are one record.
//
// On the path of every write: one check for space and a copy for each effect, no allocation once
// the buffers have grown. On the store's thread.

import Store

package final class LogAppender: StoreObserver {
  /// A batch of this size is closed at the end of its group, and the next one begun.
  package static let batchBytesMax = 16 << 20
  /// Larger buffers are freed after use, and so are more than `keptBatchesMax` of any size.
  static let keptBytesMax = 2 << 20
  static let keptBatchesMax = 4

  private var open: OpenBatch
  /// Where the open record begins in the batch; 0: there is none.
  private var recordStart = 0
  private var recordEnd = BatchFormat.headerBytes
  /// Batches that were closed because they were long, oldest first.
  private var closed: [LogBatch] = []
  private var spare: [LogBatch] = []
  /// Of the batches that are closed from now on.
  package var epoch: UInt64

  /// - Parameter position: the end of the log, where its first batch begins.
  package init(position: LogPosition, epoch: UInt64 = 0) {
    open = OpenBatch(LogBatch(), number: 1, position: position)
    self.epoch = epoch
  }

  // MARK: - Effects of the store

  package func willApply(_ effect: Effect) {
    let needed = effect.encodedBytesMax &+ BatchFormat.recordHeaderBytes
    var writer = ByteWriter(open.room(needed))
    if recordStart == 0 {
      recordStart = open.count
      writer = ByteWriter(writer.end + BatchFormat.recordHeaderBytes)
    }
    effect.write(to: &writer)
    open.wrote(upTo: writer.end)
  }

  package func groupEnded(slot: Int) {
    guard recordStart != 0 else { return }
    endRecord(.group, slot: UInt16(truncatingIfNeeded: slot))
  }

  @inline(__always)
  private func endRecord(_ type: RecordType, slot: UInt16) {
    let length = open.count &- recordStart &- BatchFormat.recordHeaderBytes
    // A call's effects are bounded by the limits of its message and of values.
    precondition(length <= UInt32.max)
    BatchFormat.writeRecordHeader(
      at: open.address(recordStart), length: length, type: type, slot: slot)
    recordStart = 0
    recordEnd = open.count
    if recordEnd >= Self.batchBytesMax { closeBatch() }
  }

  // MARK: - State of the shard

  /// Adds a record of state, between groups.
  package func append(_ state: StateRecord) {
    precondition(recordStart == 0, "between groups")
    let start = open.room(BatchFormat.recordHeaderBytes + state.payloadCount)
    recordStart = open.count
    var writer = ByteWriter(start + BatchFormat.recordHeaderBytes)
    state.write(to: &writer)
    open.wrote(upTo: writer.end)
    endRecord(state.type, slot: BatchFormat.noSlot)
  }

  /// Behind the last whole record.
  @inline(__always)
  package var position: LogPosition {
    // A batch's header is written with its first record.
    isOpenBatchEmpty ? open.position : open.position + UInt64(recordEnd)
  }

  /// The number of the batch of the next record; earlier records are in it or in an earlier one.
  package var openBatch: UInt64 { open.number }

  /// The number of the batch with the last record; 0: none yet.
  package var lastBatch: UInt64 { isOpenBatchEmpty ? open.number - 1 : open.number }

  private var isOpenBatchEmpty: Bool { recordEnd == BatchFormat.headerBytes }

  /// Whether there is nothing to take.
  package var isEmpty: Bool { isOpenBatchEmpty && closed.isEmpty }

  /// Bytes to take.
  package var bytesWaiting: Int {
    closed.reduce(isOpenBatchEmpty ? 0 : recordEnd) { $0 + $1.count }
  }

  /// Takes the oldest batch, closing the open one if there is no other; between groups. To be
  /// called until it returns nil.
  package func takeBatch() -> LogBatch? {
    precondition(recordStart == 0, "between groups")
    if closed.isEmpty {
      guard !isOpenBatchEmpty else { return nil }
      closeBatch()
    }
    return closed.removeFirst()
  }

  /// Gives a batch back that was written.
  package func recycle(_ batch: LogBatch) {
    if batch.isWorthKeeping, spare.count < Self.keptBatchesMax { spare.append(batch) }
  }

  @inline(never)
  private func closeBatch() {
    let batch = open.closed(epoch: epoch)
    closed.append(batch)
    open = OpenBatch(
      spare.popLast() ?? LogBatch(), number: batch.number + 1, position: batch.end)
    recordEnd = BatchFormat.headerBytes
  }
}

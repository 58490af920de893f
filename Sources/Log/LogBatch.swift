// A batch in flight to the file: the loop fills it, and a writer's thread seals and writes it.
//
// It has one owner at a time: the appender until it is taken, then its writer, then the appender
// again. So it may be passed between threads without a lock.

import LargeMemory

/// Sendable although it has state: it has one owner at a time, who passes it on behind a lock.
package final class LogBatch: @unchecked Sendable {
  /// Counts the batches of one life of the process, from 1.
  package fileprivate(set) var number: UInt64 = 0
  /// Of its first byte.
  package fileprivate(set) var position: LogPosition = 0
  /// Behind its last byte.
  package var end: LogPosition { position + UInt64(count) }
  package fileprivate(set) var epoch: UInt64 = 0
  /// Bytes of it, its head included.
  package fileprivate(set) var count = 0

  fileprivate var start: UnsafeMutableRawPointer
  fileprivate var capacity: Int

  /// What a buffer begins with.
  static let firstCapacity = 64 << 10

  init() {
    capacity = Self.firstCapacity
    start = .allocate(byteCount: capacity, alignment: 16)
  }

  deinit { BackgroundRelease.free(start, byteCount: capacity) }

  /// All of the batch; as it goes into the file once it is sealed.
  package var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: start, count: count) }

  /// Writes the fields that are known only at the time of the write, and the checksum. O(bytes).
  package func seal(committed: LogPosition, lineage: Lineage, life: UInt64) {
    BatchFormat.writeHeader(
      at: start, length: count, position: position, life: life, epoch: epoch,
      committed: committed)
    let identity = LogIdentity(lineage: lineage, life: life)
    BatchFormat.setChecksum(BatchFormat.checksum(bytes, identity), at: start)
  }
}

/// The batch that an appender fills. Kept apart from the object, so that an effect touches one
/// object only.
struct OpenBatch {
  private(set) var batch: LogBatch
  let number: UInt64
  let position: LogPosition
  private var start: UnsafeMutableRawPointer
  private var capacity: Int
  /// Bytes written, the batch's head and those of an open record included.
  private(set) var count = BatchFormat.headerBytes

  init(_ batch: LogBatch, number: UInt64, position: LogPosition) {
    self.batch = batch
    self.number = number
    self.position = position
    start = batch.start
    capacity = batch.capacity
  }

  /// The place of the next bytes, with space for `needed` of them.
  @inline(__always)
  mutating func room(_ needed: Int) -> UnsafeMutableRawPointer {
    if capacity &- count < needed { grow(needed) }
    return start + count
  }

  /// Bytes have been written up to here.
  @inline(__always)
  mutating func wrote(upTo end: UnsafeMutableRawPointer) { count = end - start }

  @inline(__always)
  func address(_ offset: Int) -> UnsafeMutableRawPointer { start + offset }

  @inline(never)
  private mutating func grow(_ needed: Int) {
    let larger = max(2 * capacity, count + needed)
    let grown = UnsafeMutableRawPointer.allocate(byteCount: larger, alignment: 16)
    grown.copyMemory(from: start, byteCount: count)
    BackgroundRelease.free(start, byteCount: capacity)
    (start, capacity) = (grown, larger)
    (batch.start, batch.capacity) = (grown, larger)
  }

  /// The current batch, to be passed on.
  func closed(epoch: UInt64) -> LogBatch {
    batch.number = number
    batch.position = position
    batch.epoch = epoch
    batch.count = count
    return batch
  }
}

extension LogBatch {
  /// Whether its buffer is worth keeping.
  var isWorthKeeping: Bool { capacity <= LogAppender.keptBytesMax }
}

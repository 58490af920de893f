// A batch on its way to the file: what the loop has filled and a writer's thread seals and writes.
//
// Has one owner at a time: the appender until it is taken, then who writes it, then the appender
// again, to be filled again. That is why it may cross threads without a lock.

import LargeMemory

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

  /// Writes what is known only when the batch is written, and the checksum. O(bytes).
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

  /// Where the next bytes go, with room for `needed` of them.
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

  /// The batch as it is, to be handed on.
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

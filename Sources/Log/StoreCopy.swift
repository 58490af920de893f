// A copy of a store at one moment, as the bytes of two files, while the store changes: a pass, and
// a log of later changes of keys that the pass has taken.
//
//     let copy = StoreCopy(of: store, header: ...)          // and have it observe the store
//     while !copy.isDone { copy.next(...) }                 // in turns, between groups
//
//   taking images, observing --the last image is taken--> the moment; observes no more --> handing
//   out the rest --> done
//
// The grammar is that of a shard's own files, and a reader merges both by the cursor rule
// (LogMerge). Differences: the log has no effects on keys of later images, so a reader doesn't need
// the order of keys, which depends on the hash seed; and it has its own positions, from 0. It needs
// no disk, so shards in memory are copied in the same way.
//
// Memory: a chunk of images with its pins, and the unread part of the log; that is limited, and a
// copy that would exceed the limit fails (`hasOverflowed`). On the store's thread.

import Store

package enum CopyFile: Sendable {
  case pass
  case log
}

package final class StoreCopy: StoreObserver {
  /// The maximum of unread bytes of the log.
  package static let logBytesMax = 64 << 20
  /// A batch of the log is returned when it has this size, or at the end.
  static let batchBytes = 256 << 10
  /// Of one `take`.
  private static let keysPerTake = 64
  private static let bytesPerTake = 64 << 10
  /// The approximate size of a chunk.
  private static let takesPerChunk = 8

  private let maker: PassMaker
  private let appender = LogAppender(position: 0)
  private let logBytesMax: Int
  private let identity: LogIdentity
  /// Headers that were not handed out.
  private var headers: [(file: CopyFile, bytes: [UInt8])]
  private var batches: [LogBatch] = []
  /// The current chunk, and the position of its next batch.
  private var chunk: PassChunk?
  private var passPosition: LogPosition
  private var open: Unit?
  /// The moment of the copy's state.
  package private(set) var isTaken = false
  /// More has changed than may wait: the copy can't be had.
  package private(set) var hasOverflowed = false

  /// What is handed out at the moment.
  private struct Unit {
    let file: CopyFile
    /// Good as long as `batch`, or the chunk's batch, is.
    let pieces: [UnsafeRawBufferPointer]
    let batch: LogBatch?
    var piece = 0
    var offset = 0
  }

  /// - Parameter header: of the pass; its position is 0.
  package init(
    of store: Store, header: FileHeader, logBytesMax: Int = StoreCopy.logBytesMax
  ) {
    maker = PassMaker(of: store, begin: 0, state: [])
    self.logBytesMax = logBytesMax
    identity = header.identity
    passPosition = header.firstPosition
    var log = header
    log.kind = .log
    headers = [(.pass, header.encode()), (.log, log.encode())]
  }

  package var keysDone: Int { maker.keyCount }

  package var isDone: Bool {
    maker.isDone && isTaken && headers.isEmpty && batches.isEmpty && chunk == nil && open == nil
  }

  // MARK: - Effects of the store

  package func willApply(_ effect: Effect) {
    if !isTaken, !hasOverflowed, maker.isBehind(effect) { appender.willApply(effect) }
  }

  package func groupEnded(slot: Int) {
    appender.groupEnded(slot: slot)
    if appender.bytesWaiting > logBytesMax { overflow() }
  }

  private func overflow() {
    hasOverflowed = true
    while let batch = appender.takeBatch() { appender.recycle(batch) }
  }

  // MARK: - Bytes

  /// Returns the next bytes of one of the files. Between groups; not after an overflow.
  ///
  /// - Parameters:
  ///   - bytes: most bytes.
  ///   - hasTime: checked between two steps.
  ///   - body: gets the bytes, in several runs; they are good inside the call only.
  /// - Returns: which file; nil: the copy is done, or there was no time.
  package func next(
    bytes: Int, hasTime: () -> Bool, _ body: (UnsafeRawBufferPointer) -> Void
  ) -> CopyFile? {
    if let header = headers.first {
      headers.removeFirst()
      header.bytes.withUnsafeBytes { body($0) }
      return header.file
    }
    var file: CopyFile?
    var left = bytes
    while left > 0, open != nil || openNext(hasTime) {
      guard let unit = open, file == nil || file == unit.file else { break }
      file = unit.file
      left -= handOut(unit, most: left, body)
      if !hasTime() { break }
    }
    return file
  }

  private func handOut(
    _ unit: Unit, most: Int, _ body: (UnsafeRawBufferPointer) -> Void
  ) -> Int {
    var unit = unit
    var done = 0
    while done < most, unit.piece < unit.pieces.count {
      let piece = unit.pieces[unit.piece]
      let end = min(piece.count, unit.offset + most - done)
      body(UnsafeRawBufferPointer(rebasing: piece[unit.offset..<end]))
      done += end - unit.offset
      unit.offset = end
      if end == piece.count { (unit.piece, unit.offset) = (unit.piece + 1, 0) }
    }
    open = unit
    if unit.piece == unit.pieces.count {
      open = nil
      if let batch = unit.batch { appender.recycle(batch) }
    }
    return done
  }

  /// Opens the next part. Returns false if there is nothing, or no time.
  private func openNext(_ hasTime: () -> Bool) -> Bool {
    repeat {
      if openBatch() || openPassBatch() { return true }
      if maker.isDone { return false }
      makeChunk(hasTime)
    } while hasTime() || chunk != nil || !batches.isEmpty
    return false
  }

  private func openBatch() -> Bool {
    if batches.isEmpty, !isTaken, appender.bytesWaiting >= Self.batchBytes,
      let batch = appender.takeBatch()
    {
      batches.append(batch)
    }
    guard !batches.isEmpty else { return false }
    let batch = batches.removeFirst()
    batch.seal(committed: 0, lineage: identity.lineage, life: identity.life)
    open = Unit(file: .log, pieces: [batch.bytes], batch: batch)
    return true
  }

  private func openPassBatch() -> Bool {
    guard let chunk else { return false }
    guard
      let pieces = chunk.nextBatch(at: passPosition, committed: 0, epoch: 0, identity: identity)
    else {
      chunk.release()
      self.chunk = nil
      return false
    }
    passPosition += UInt64(pieces.reduce(0) { $0 + $1.count })
    open = Unit(file: .pass, pieces: pieces, batch: nil)
    return true
  }

  /// Takes images while there is time, or the beginning or the end of the pass.
  private func makeChunk(_ hasTime: () -> Bool) {
    var takes = 0
    taking: while takes < Self.takesPerChunk {
      takes += 1
      switch maker.take(
        asOf: appender.position, keys: Self.keysPerTake, bytes: Self.bytesPerTake)
      {
      case .more: if !hasTime() { break taking }
      case .chunkIsFull: break taking
      case .allTaken:
        if !isTaken { end() }
        break taking
      }
    }
    chunk = maker.takeChunk()
  }

  /// The moment.
  private func end() {
    isTaken = true
    while let batch = appender.takeBatch() { batches.append(batch) }
  }
}

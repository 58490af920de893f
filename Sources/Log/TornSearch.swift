// Torn or corrupt? The reader of a log has reached a place without a complete batch. It is the torn
// end of a crash, unless something after it shows that more than this position was durable: then
// durable bytes are damaged.
//
// It searches the rest of that file, byte by byte, because the length of a damaged batch is
// unreliable; then the headers of later files, and these files too. A batch counts only if it is
// valid and at its own position, so bytes chosen by a client can't be mistaken for one.
//
// One thread. Holds one batch and what was fed behind it.

package final class TornSearch {
  /// Where there is no whole batch.
  package let position: LogPosition
  /// The greatest position that was found to have been durable; nil: nothing was found.
  package private(set) var committed: LogPosition?
  /// The end of the last valid batch.
  package private(set) var lastEnd: LogPosition?

  /// Called with each sound batch that is found; good until it returns.
  package var onBatch: (Batch) -> Void = { _ in }

  private var identity: LogIdentity
  private var place: LogPosition
  private var bytesLeft: UInt64
  private var gathered = GatheredBytes()

  /// Feed it from `position` on: `BatchReader.unread`, and then the rest of the file.
  /// - Parameter bytesMax: bytes of the file from there on.
  package init(identity: LogIdentity, position: LogPosition, bytesMax: UInt64) {
    self.identity = identity
    self.position = position
    place = position
    bytesLeft = bytesMax
  }

  deinit { gathered.free() }

  /// Whether the missing bytes were durable.
  package var isCorrupt: Bool { committed.map { $0 > position } ?? false }

  /// A later file begins: its bytes after the header are fed next.
  package func begin(_ header: FileHeader, bytesMax: UInt64) {
    note(header.committed)
    identity = header.identity
    place = header.firstPosition
    bytesLeft = bytesMax
    gathered.take(gathered.count)
  }

  /// Looks through the bytes that follow. They are copied.
  package func feed(_ bytes: UnsafeRawBufferPointer) {
    gathered.append(bytes)
    while let found = findBatch() {
      guard found.isWhole else { return }
      note(found.batch.committed)
      lastEnd = found.batch.end
      onBatch(found.batch)
      take(found.batch.bytes.count)
    }
  }

  private func note(_ durable: LogPosition) { committed = max(committed ?? 0, durable) }

  private func take(_ count: Int) {
    gathered.take(count)
    place += UInt64(count)
    bytesLeft -= min(bytesLeft, UInt64(count))
  }

  /// The next valid batch, or the header of an incomplete one. The bytes before it are taken.
  private func findBatch() -> (batch: Batch, isWhole: Bool)? {
    while let offset = findHead() {
      take(offset)
      let bytes = gathered.bytes
      let length = Int(UInt32(littleEndian: bytes.loadUnaligned(as: UInt32.self)))
      if length >= BatchFormat.batchBytesMin, UInt64(length) <= bytesLeft {
        guard bytes.count >= length else { return (Batch(bytes), false) }
        let whole = UnsafeRawBufferPointer(rebasing: bytes[..<length])
        let batch = Batch(whole)
        if BatchFormat.isSound(whole, identity), batch.isWellFormed { return (batch, true) }
      }
      take(1)
    }
    return nil
  }

  /// The place of the next header with the right position and life. Bytes that can't begin one are
  /// taken.
  private func findHead() -> Int? {
    let bytes = gathered.bytes
    let last = bytes.count - BatchFormat.headerBytes
    guard last >= 0, let start = bytes.baseAddress else { return nil }
    var offset = 0
    while offset <= last {
      let head = start + offset
      let life = head.loadUnaligned(fromByteOffset: BatchFormat.lifeOffset, as: UInt64.self)
      if UInt64(littleEndian: life) == identity.life {
        let found = head.loadUnaligned(
          fromByteOffset: BatchFormat.positionOffset, as: UInt64.self)
        if UInt64(littleEndian: found) == place &+ UInt64(offset) { return offset }
      }
      offset += 1
    }
    take(last + 1)
    return nil
  }
}

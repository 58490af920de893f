// Torn or corrupt? The reading of a log has met a place without a whole batch. That is where a
// crash has cut the last writes, unless something behind it says that more than its position
// was durable: then bytes are damaged that were safe.
//
// Looks through what is left of that file, byte by byte, as the length of a damaged batch can't be
// trusted; then at the headers of later files, and through those as well. A batch counts only if it
// is sound and stands where it belongs, so no bytes that a client chose can pass for one.
//
// One thread. Holds one batch and what was fed behind it.

package final class TornSearch {
  /// Where there is no whole batch.
  package let position: LogPosition
  /// The greatest position that was found to have been durable; nil: nothing was found.
  package private(set) var committed: LogPosition?
  /// The last position that a sound batch was found to end at.
  package private(set) var lastEnd: LogPosition?

  /// Called with each sound batch that is found; good until it returns.
  package var onBatch: (Batch) -> Void = { _ in }

  private var identity: LogIdentity
  private var place: LogPosition
  private var bytesLeft: UInt64
  private var gathered = GatheredBytes()

  /// To be fed from `position` on: what `BatchReader.unread` holds, and what follows in the file.
  /// - Parameter bytesMax: bytes of the file from there on.
  package init(identity: LogIdentity, position: LogPosition, bytesMax: UInt64) {
    self.identity = identity
    self.position = position
    place = position
    bytesLeft = bytesMax
  }

  deinit { gathered.free() }

  /// Whether what is missing was durable.
  package var isCorrupt: Bool { committed.map { $0 > position } ?? false }

  /// A later file begins: its bytes behind the header are fed next.
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

  /// The next sound batch, or the head of one that isn't all there yet. What is before it is taken.
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

  /// Where the next head with the right position and life stands. What can't begin one is taken.
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

// Reads the batches of one file out of its bytes, in whatever pieces they come.
//
// A batch that it hands out is whole: it stands at its position, is of the file's lineage and life,
// has the right checksum, and its records fill it. What isn't whole ends the reading; whether that
// is the torn end of a crash or corruption is TornSearch's to say.
//
// One thread. Holds one batch and what was fed behind it.

package final class BatchReader {
  package enum Outcome {
    case batch(Batch)
    /// To be fed more, or finished.
    case needsMore
    /// Nothing was written from `position` on.
    case endOfLog
    /// What stands at `position` is no whole batch.
    case bad(BatchFault)
  }

  private enum State {
    case reads
    case ended
    case failed(BatchFault)
  }

  private let identity: LogIdentity
  /// Where the next batch begins, or where the reading ended.
  package private(set) var position: LogPosition
  /// Bytes of the file from `position` on.
  private var bytesLeft: UInt64
  private var gathered = GatheredBytes()
  private var isFinished = false
  private var state = State.reads

  /// - Parameters:
  ///   - identity: what the file's header says.
  ///   - position: of the first byte that is fed.
  ///   - bytesMax: how many bytes will be fed at most. A batch that says it is longer is none, and
  ///     isn't waited for.
  package init(identity: LogIdentity, position: LogPosition, bytesMax: UInt64 = .max) {
    self.identity = identity
    self.position = position
    bytesLeft = bytesMax
  }

  deinit { gathered.free() }

  /// Adds the bytes that follow. They are copied.
  package func feed(_ bytes: UnsafeRawBufferPointer) { gathered.append(bytes) }

  /// There are no more bytes.
  package func finish() { isFinished = true }

  /// What was fed and is no whole batch: from `position` on.
  package var unread: UnsafeRawBufferPointer { gathered.bytes }

  /// The next batch; good until the next call.
  package func next() -> Outcome {
    switch state {
    case .reads: break
    case .ended: return .endOfLog
    case .failed(let fault): return .bad(fault)
    }
    let bytes = gathered.bytes
    guard bytes.count >= 4 else { return needsMore(bytes) }
    let length = Int(UInt32(littleEndian: bytes.loadUnaligned(as: UInt32.self)))
    if length == 0 {
      state = .ended
      return .endOfLog
    }
    guard length >= BatchFormat.batchBytesMin, UInt64(length) <= bytesLeft else {
      return fail(.badLength)
    }
    guard bytes.count >= BatchFormat.headerBytes else { return needsMore(bytes) }
    let head = Batch(UnsafeRawBufferPointer(rebasing: bytes[..<BatchFormat.headerBytes]))
    guard head.position == position, head.life == identity.life else { return fail(.otherPlace) }
    guard bytes.count >= length else { return needsMore(bytes) }
    let whole = UnsafeRawBufferPointer(rebasing: bytes[..<length])
    guard BatchFormat.isSound(whole, identity) else { return fail(.wrongChecksum) }
    let batch = Batch(whole)
    guard batch.isWellFormed else { return fail(.malformed) }
    gathered.take(length)
    position += UInt64(length)
    if bytesLeft != .max { bytesLeft -= UInt64(length) }
    return .batch(batch)
  }

  private func needsMore(_ bytes: UnsafeRawBufferPointer) -> Outcome {
    guard isFinished else { return .needsMore }
    if bytes.allSatisfy({ $0 == 0 }) {
      state = .ended
      return .endOfLog
    }
    return fail(.cutShort)
  }

  private func fail(_ fault: BatchFault) -> Outcome {
    state = .failed(fault)
    return .bad(fault)
  }
}

/// Why bytes are no whole batch.
package enum BatchFault: Error, Equatable, Sendable {
  /// The bytes end within it.
  case cutShort
  /// It can't be so long.
  case badLength
  /// Another position or life stands in its head.
  case otherPlace
  case wrongChecksum
  /// The checksum is right, but the records don't fill it: no crash makes that.
  case malformed

  /// Whether a write that a crash has cut can have left such bytes.
  package var mayBeTorn: Bool { self != .malformed }
}

extension BatchFault: CustomStringConvertible {
  package var description: String {
    switch self {
    case .cutShort: "the file ends within a batch"
    case .badLength: "a batch has an impossible length"
    case .otherPlace: "there is a batch of another position or life"
    case .wrongChecksum: "a batch has a wrong checksum"
    case .malformed: "the records of a batch don't fill it"
    }
  }
}

extension BatchFormat {
  /// Whether a batch, which has a head at least, has the checksum that it has to have.
  static func isSound(_ batch: UnsafeRawBufferPointer, _ identity: LogIdentity) -> Bool {
    let found = UInt32(
      littleEndian: batch.loadUnaligned(fromByteOffset: checksumOffset, as: UInt32.self))
    return found == checksum(batch, identity)
  }
}

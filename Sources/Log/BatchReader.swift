// Reads the batches of one file from its bytes, which may arrive in pieces of any size.
//
// A returned batch is valid: it is at its position, has the file's lineage and life and the right
// checksum, and its records fill it. Anything else ends the reading; TornSearch decides whether
// that is the torn end of a crash or corruption.
//
// One thread. Holds one batch and the bytes fed after it.

package final class BatchReader {
  package enum Outcome {
    case batch(Batch)
    /// To be fed more, or finished.
    case needsMore
    /// Nothing was written from `position` on.
    case endOfLog
    /// There is no complete batch at `position`.
    case bad(BatchFault)
  }

  private enum State {
    case reads
    case ended
    case failed(BatchFault)
  }

  private let identity: LogIdentity
  /// The begin of the next batch, or the end of the reading.
  package private(set) var position: LogPosition
  /// Bytes of the file from `position` on.
  private var bytesLeft: UInt64
  private var gathered = GatheredBytes()
  private var isFinished = false
  private var state = State.reads

  /// - Parameters:
  ///   - identity: from the file's header.
  ///   - position: of the first byte that is fed.
  ///   - bytesMax: the maximum number of bytes that will be fed. A batch with a greater length is
  ///     invalid.
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
  /// Its header has another position or life.
  case otherPlace
  case wrongChecksum
  /// The checksum is right, but the records don't fill it: no crash makes that.
  case malformed

  /// Whether an interrupted write can leave such bytes.
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

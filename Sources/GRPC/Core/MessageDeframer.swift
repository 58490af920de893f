// gRPC's message framing on the way in. DATA bytes arrive split and coalesced in any way; complete
// messages are returned. A message in one chunk is returned in place; others are collected in the
// deframer's buffer: a large one in a LargeBlock, which the receiver of the message may keep.
// Grammar (PROTOCOL-HTTP2): Length-Prefixed-Message = Compressed-Flag (1 byte) Message-Length (4
// bytes, big endian) Message.
//
// Pure; one for each stream. The receiver pulls messages, so it may stop, pause or cancel between
// two of them without re-entering the deframer.

import LargeMemory

/// What is wrong with a stream of length-prefixed messages.
package enum MessageFramingError: Error, Sendable, Hashable {
  /// The prefix announces more than the limit. Nothing of it was buffered.
  case tooLarge(length: Int)
  /// The compressed flag is set though no encoding was agreed.
  case compressedWithoutEncoding
  /// The message is compressed, and its decompressed size exceeds the limit. The rest was not
  /// decompressed.
  case tooLargeInflated
  /// The message is flagged as compressed, and isn't one whole piece of gzip.
  case badCompression
  /// The flag byte is neither 0 nor 1.
  case badFlag(UInt8)
  /// The stream ended inside a message.
  case truncatedAtEnd

  /// The status for such a stream.
  package func status(limit: Int) -> RPCStatus {
    switch self {
    case .tooLarge(let length):
      RPCStatus(.resourceExhausted, "message of \(length) bytes is over the limit of \(limit)")
    case .compressedWithoutEncoding:
      RPCStatus(.internal, "compressed message without an agreed encoding")
    case .tooLargeInflated:
      RPCStatus(
        .resourceExhausted, "compressed message inflates to more than the limit of \(limit)")
    case .badCompression: RPCStatus(.internal, "compressed message is not valid gzip")
    case .badFlag(let flag): RPCStatus(.internal, "message flag \(flag) is unknown")
    case .truncatedAtEnd: RPCStatus(.internal, "stream ended inside a message")
    }
  }
}

extension MessageFrame {
  /// The length in a five-byte prefix. `prefix` must hold at least five bytes.
  static func length(
    _ prefix: UnsafeRawBufferPointer, limit: Int, acceptsCompressed: Bool = false
  ) throws(MessageFramingError) -> Int {
    let flag = prefix[0]
    guard flag == 0 || (flag == 1 && acceptsCompressed) else {
      throw flag == 1 ? .compressedWithoutEncoding : .badFlag(flag)
    }
    let length = Int(
      UInt32(bigEndian: prefix.loadUnaligned(fromByteOffset: 1, as: UInt32.self)))
    guard length <= limit else { throw .tooLarge(length: length) }
    return length
  }

  /// Takes the next complete message from the front of `bytes`, for receivers that collect a
  /// stream's bytes themselves. Nil, and nothing taken, if it isn't complete yet. O(1).
  package static func next(
    in bytes: inout UnsafeRawBufferPointer, limit: Int, acceptsCompressed: Bool = false
  ) throws(MessageFramingError) -> UnsafeRawBufferPointer? {
    guard bytes.count >= prefixBytes else { return nil }
    let frame =
      prefixBytes + (try length(bytes, limit: limit, acceptsCompressed: acceptsCompressed))
    guard bytes.count >= frame else { return nil }
    let message = UnsafeRawBufferPointer(rebasing: bytes[prefixBytes..<frame])
    bytes = UnsafeRawBufferPointer(rebasing: bytes[frame...])
    return message
  }

  /// Whether a message was flagged as compressed. It must still be after its prefix, as messages
  /// from `next` and the deframer are.
  static func isCompressed(_ message: UnsafeRawBufferPointer) -> Bool {
    guard let base = message.baseAddress else { return false }
    return (base - prefixBytes).load(as: UInt8.self) == 1
  }
}

/// Cuts a stream's bytes into messages.
package struct MessageDeframer: ~Copyable {
  /// Most bytes a message may have.
  package var limit: Int
  /// Whether messages may be flagged as compressed; see `MessageFrame.isCompressed`.
  package var acceptsCompressed = false

  // Gathered bytes of an unfinished frame, prefix included.
  private var storage: UnsafeMutableRawBufferPointer
  // What `storage` is the bytes of, if it is large.
  private var block: LargeBlock?
  private var filled = 0
  // The storage has a returned message, which becomes invalid at the next call.
  private var isHandedOut = false

  // Storage above this is freed after use: one large message must not keep memory as long as the
  // stream exists.
  private static let retainedBytesMax = 64 * 1024

  package init(limit: Int) {
    self.limit = limit
    self.storage = UnsafeMutableRawBufferPointer(start: nil, count: 0)
  }

  deinit {
    if block == nil { storage.deallocate() }
  }

  /// Bytes of an unfinished message held here.
  package var bufferedBytes: Int { isHandedOut ? 0 : filled }

  /// The last returned message, if it was collected here; valid until the next call.
  package var gatheredMessage: UnsafeRawBufferPointer? {
    guard isHandedOut else { return nil }
    return UnsafeRawBufferPointer(rebasing: storage[MessageFrame.prefixBytes..<filled])
  }

  /// The block of the last returned message, if it is large. Keeping the block keeps the message:
  /// it is immutable from then on.
  package var messageBlock: LargeBlock? { isHandedOut ? block : nil }

  /// Bytes held here, including a returned message.
  package var filledBytes: Int { filled }

  /// Bytes of memory reserved for unfinished messages.
  package var reservedBytes: Int { storage.count }

  /// Bytes of the unfinished message's frame, prefix included, from its prefix; 0 while unknown.
  /// Never above the limit: such a prefix was refused.
  package var announcedBytes: Int {
    guard !isHandedOut, filled >= MessageFrame.prefixBytes,
      let length = try? frameLength(UnsafeRawBufferPointer(storage))
    else { return 0 }
    return MessageFrame.prefixBytes + length
  }

  private func frameLength(
    _ prefix: UnsafeRawBufferPointer
  ) throws(MessageFramingError) -> Int {
    try MessageFrame.length(prefix, limit: limit, acceptsCompressed: acceptsCompressed)
  }

  /// Reserves memory for the whole unfinished message, so that it isn't moved while it grows.
  /// Memory is used only as bytes arrive. The caller decides whether this is allowed.
  package mutating func reserveAnnounced() {
    let bytes = announcedBytes
    if bytes > storage.count { grow(to: bytes) }
  }

  /// Takes bytes from the front of `chunk` up to the end of the next message and returns that
  /// message, or takes all and returns nil. The pointer is valid until the next call on this
  /// deframer and as long as `chunk`'s memory. Amortised O(bytes taken).
  ///
  /// - Parameter gathersAll: also collects a message that is completely in the chunk.
  package mutating func next(
    _ chunk: inout UnsafeRawBufferPointer, gathersAll: Bool = false
  ) throws(MessageFramingError) -> UnsafeRawBufferPointer? {
    releaseHandedOut()
    if filled == 0 {
      guard chunk.count >= MessageFrame.prefixBytes else { return gather(&chunk, upTo: 5) }
      if gathersAll {
        gather(&chunk, upTo: MessageFrame.prefixBytes)
      } else if let message = try MessageFrame.next(
        in: &chunk, limit: limit, acceptsCompressed: acceptsCompressed)
      {
        return message
      } else {
        let length = try frameLength(chunk)
        return gather(&chunk, upTo: MessageFrame.prefixBytes + length)
      }
    }
    if filled < MessageFrame.prefixBytes {
      gather(&chunk, upTo: MessageFrame.prefixBytes)
      guard filled == MessageFrame.prefixBytes else { return nil }
    }
    let length = try frameLength(UnsafeRawBufferPointer(storage))
    let frame = MessageFrame.prefixBytes + length
    gather(&chunk, upTo: frame)
    guard filled == frame else { return nil }
    isHandedOut = true
    return UnsafeRawBufferPointer(rebasing: storage[MessageFrame.prefixBytes..<frame])
  }

  /// The peer has ended the stream: it must not be inside a message.
  package mutating func finish() throws(MessageFramingError) {
    releaseHandedOut()
    if filled > 0 { throw .truncatedAtEnd }
  }

  /// Drops the collected bytes and frees the memory, for the next stream.
  package mutating func reset() {
    isHandedOut = false
    acceptsCompressed = false
    filled = 0
    release()
  }

  /// Moves bytes from `chunk` into the storage until `target` are there. The storage grows with the
  /// received bytes, not with the prefix: a peer can't reserve our memory, unless the owner allows
  /// it (`reserveAnnounced`).
  @discardableResult
  private mutating func gather(
    _ chunk: inout UnsafeRawBufferPointer, upTo target: Int
  ) -> UnsafeRawBufferPointer? {
    let taken = min(chunk.count, target - filled)
    guard taken > 0 else { return nil }
    if storage.count < filled + taken {
      grow(to: min(target, max(filled + taken, 2 * storage.count, 256)))
    }
    UnsafeMutableRawBufferPointer(rebasing: storage[filled..<(filled + taken)])
      .copyMemory(from: UnsafeRawBufferPointer(rebasing: chunk[..<taken]))
    filled += taken
    chunk = UnsafeRawBufferPointer(rebasing: chunk[taken...])
    return nil
  }

  private mutating func grow(to capacity: Int) {
    let largerBlock = capacity >= LargeBlock.bytesMin ? LargeBlock(capacity: capacity) : nil
    let larger =
      largerBlock.map { UnsafeMutableRawBufferPointer(start: $0.base, count: capacity) }
      ?? .allocate(byteCount: capacity, alignment: 16)
    if filled > 0 {
      larger.copyMemory(from: UnsafeRawBufferPointer(rebasing: storage[..<filled]))
    }
    release()
    storage = larger
    block = largerBlock
  }

  private mutating func releaseHandedOut() {
    guard isHandedOut else { return }
    isHandedOut = false
    filled = 0
    if storage.count > Self.retainedBytesMax { release() }
  }

  private mutating func release() {
    if block == nil { storage.deallocate() }
    block = nil
    storage = UnsafeMutableRawBufferPointer(start: nil, count: 0)
  }
}

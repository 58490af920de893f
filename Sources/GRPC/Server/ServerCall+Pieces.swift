// A reply in pieces: a message whose length is known before its bytes are available, for example
// when they arrive over a link piece by piece. Only the part that the client is about to read must
// be in memory.

import NIOCore

extension ServerCall {
  /// Begins a message of this many bytes, which `appendToMessage` provides. The client is sent
  /// headers and the message's prefix. For unary calls (then once, instead of `respond`) and
  /// streaming ones.
  package func beginMessage(byteCount: Int) {
    guard isOpen else { return }
    assert(pieces.missing == 0, "one message after another")
    assert(byteCount >= 0 && byteCount <= Int(UInt32.max), "a message must fit its prefix")
    OutboundBuffer.reclaim(&stream.outbound)
    MessageFrame.writePrefix(byteCount: byteCount, to: &stream.outbound)
    handler?.tally.sent()
    pieces.begin(byteCount: byteCount)
    handler?.messageAppended(self)
  }

  /// Appends a piece, copied, to the message that was begun. Pieces are accepted even if
  /// `isWritable` is false, so check it before each: this is the back-pressure. Amortised O(bytes).
  ///
  /// All pieces together must have the length that was announced: `finish(.ok)` follows the last.
  /// A client never takes a call that ends earlier, with any status, for a complete reply.
  package func appendToMessage(_ bytes: UnsafeRawBufferPointer) {
    guard isOpen else { return }
    assert(bytes.count <= pieces.missing, "more than was announced")
    // Beyond it the client would see another message begin.
    let piece = UnsafeRawBufferPointer(rebasing: bytes.prefix(pieces.missing))
    OutboundBuffer.reclaim(&stream.outbound)
    stream.outbound.writeBytes(piece)
    pieces.append(piece.count)
    if self.bytes.reserved > 0 { handler?.releaseOutbound(self, piece.count) }
    handler?.messageAppended(self)
  }

  /// Bytes that the message begun still lacks.
  package var missingMessageBytes: Int { pieces.missing }

  // MARK: - Room on the connection

  /// Counts bytes that the service has requested elsewhere and will append to this call as if they
  /// already waited to be sent: see `ServerConnection.hasOutboundRoom`. Pieces that are appended
  /// are subtracted again, and the rest at the end of the call.
  package func reserveOutbound(bytes: Int) {
    guard isOpen, bytes > 0 else { return }
    handler?.reserveOutbound(self, bytes)
  }

  /// Has `streamWritable` called as soon as the call is writable and its connection has room for
  /// more: once, in a later flush, and never from within this. Calls of one connection are notified
  /// in the order in which they began to wait, while there is room.
  package func awaitRoom() {
    if isOpen { handler?.awaitRoom(self) }
  }
}

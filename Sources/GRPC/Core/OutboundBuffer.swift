// The buffer of messages to be sent on one stream. Long-lived streams such as links append and send
// all the time, and a ByteBuffer doesn't reuse the space of read bytes.

import NIOCore

enum OutboundBuffer {
  /// Up to this many waiting bytes are moved as soon as fewer wait than were sent. More than that
  /// are moved only when they are a small part of the buffer, so that a large message isn't moved
  /// about while it is being sent.
  static let eagerMoveBytesMax = 256 << 10
  static let largeMoveFactor = 4

  /// Reclaims the space of sent bytes. Call it before appending; amortised O(1), since bytes are
  /// moved only when fewer remain than were sent. (The session frees a large buffer once it is
  /// empty.)
  static func reclaim(_ buffer: inout ByteBuffer) {
    let waiting = buffer.readableBytes
    if waiting == 0 {
      // Most calls send one message into a fresh buffer.
      if buffer.writerIndex > 0 { buffer.clear() }
    } else if buffer.readerIndex > waiting,
      waiting <= eagerMoveBytesMax || buffer.readerIndex > largeMoveFactor * waiting
    {
      buffer.discardReadBytes()
    }
  }
}

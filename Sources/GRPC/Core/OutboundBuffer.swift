// The buffer of messages to be sent on one stream. Streams that live for days, as links do, append
// and send for ever, and a ByteBuffer doesn't take back the room of bytes that were read.

import NIOCore

enum OutboundBuffer {
  /// Room that an empty buffer may keep, in bytes.
  static let retainedBytesMax = 4 << 20

  /// Takes back the room of what was sent. To be called before appending; amortised O(1), since
  /// bytes are moved only when fewer are left than were sent.
  static func reclaim(_ buffer: inout ByteBuffer) {
    if buffer.readableBytes == 0 {
      if buffer.capacity > retainedBytesMax { buffer = ByteBuffer() } else { buffer.clear() }
    } else if buffer.readerIndex > buffer.readableBytes {
      buffer.discardReadBytes()
    }
  }
}

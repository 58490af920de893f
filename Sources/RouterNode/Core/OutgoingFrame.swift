// A RouterFrame that is ready to be sent. A large request of its last call is not part of the
// buffer; it is sent from the block in which it was received. A value; the router's loop.

import LargeMemory
import NIOCore

package struct OutgoingFrame {
  /// The encoded frame, without the tail. The buffer has space for a message's prefix in front.
  package var head: ByteBuffer
  /// The last bytes of the frame.
  package let tail: OwnedBytes?

  package var byteCount: Int { head.readableBytes + (tail?.count ?? 0) }

  /// The whole frame in one buffer. Copies the tail.
  package var joined: ByteBuffer {
    guard let tail else { return head }
    var whole = head
    tail.withBytes { _ = whole.writeBytes($0) }
    return whole
  }
}

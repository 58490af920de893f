// What the readers of replies share, whose protocols are streams of bytes: lines and RESP. Values of
// their connections; the bytes come from a peer and may be anything.

import NIOCore

/// Splits the bytes of a connection into replies.
protocol ReplyReader {
  /// Has bytes of the connection, which are valid only while it is handed out.
  associatedtype Reply

  mutating func append(_ bytes: ByteBuffer)

  /// Gives the next whole reply to `body`, with the number of its bytes. Returns false if none has
  /// arrived. After an error it may be called again, and has the same one.
  mutating func next(_ body: (Reply, _ bytes: Int) -> Void) throws(MalformedReply) -> Bool
}

/// Bytes that are no reply, as a sentence without a dot. The connection must end: where the next
/// reply begins is not known.
struct MalformedReply: Error, Hashable {
  let sentence: String

  init(_ sentence: String) { self.sentence = sentence }
}

extension ByteBuffer {
  /// Appends bytes, and removes those that were read: a connection may always have an unfinished
  /// reply, and its buffer must not grow with each read.
  mutating func appendUnread(_ bytes: ByteBuffer) {
    guard readableBytes > 0 else {
      self = bytes
      return
    }
    discardReadBytes()
    writeImmutableBuffer(bytes)
  }
}

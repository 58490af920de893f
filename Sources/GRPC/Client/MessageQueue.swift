// Messages on their way between async code and an event loop. A value; StreamExchange keeps it
// behind its lock and bounds it.

import NIOCore

/// Messages in order, with their bytes counted.
struct MessageQueue {
  private var messages: [ByteBuffer] = []
  private var head = 0
  private(set) var bytes = 0

  mutating func append(_ message: ByteBuffer) {
    messages.append(message)
    bytes += message.readableBytes + Self.overheadBytes
  }

  /// Amortised O(1).
  mutating func popFirst() -> ByteBuffer? {
    guard head < messages.count else { return nil }
    let message = messages[head]
    messages[head] = ByteBuffer()
    head += 1
    bytes -= message.readableBytes + Self.overheadBytes
    if head * 2 >= messages.count {
      messages.removeFirst(head)
      head = 0
    }
    return message
  }

  /// Counted for each message, so that empty ones are bounded too.
  private static let overheadBytes = 64
}

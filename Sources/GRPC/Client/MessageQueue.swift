// Messages between async code and an event loop. A value; StreamExchange keeps it behind its lock
// and bounds it.

import NIOCore

/// Messages in order, with their bytes counted.
struct MessageQueue {
  private var messages: [(message: ByteBuffer, isPlain: Bool)] = []
  private var head = 0
  private(set) var bytes = 0

  /// - Parameter isPlain: for outgoing messages: not compressed.
  mutating func append(_ message: ByteBuffer, isPlain: Bool = false) {
    messages.append((message, isPlain))
    bytes += message.readableBytes + Self.overheadBytes
  }

  mutating func popFirst() -> ByteBuffer? { pop()?.message }

  /// Amortised O(1).
  mutating func pop() -> (message: ByteBuffer, isPlain: Bool)? {
    guard head < messages.count else { return nil }
    let next = messages[head]
    messages[head].message = ByteBuffer()
    head += 1
    bytes -= next.message.readableBytes + Self.overheadBytes
    if head * 2 >= messages.count {
      messages.removeFirst(head)
      head = 0
    }
    return next
  }

  /// Counted for each message, so that empty ones are bounded too.
  private static let overheadBytes = 64
}

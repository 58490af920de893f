// Which large messages of a connection may be received: those that are coming in share a limit, and
// the others wait in the order in which they were announced. Event loop only.

/// Which large messages of a connection are being received, and which wait for that.
struct LargeMessages {
  /// A call's part.
  struct Place {
    /// The size of the large message that is coming in; 0: none.
    fileprivate(set) var admitted = 0
    /// The size of the large message that waits to be received; 0: none.
    fileprivate(set) var awaited = 0
  }

  /// Bytes of the messages that are coming in.
  private(set) var bytes = 0
  private(set) var waiting = CallQueue()

  /// Whether a message may be received now; if not, it waits for its turn.
  ///
  /// - Parameter limit: for the bytes of all that are coming in; a message alone may be longer.
  mutating func admit(_ call: ServerCall, _ size: Int, limit: Int) -> Bool {
    if call.largeMessage.admitted > 0 { return true }
    if waiting.isEmpty, hasRoom(size, limit: limit) {
      bytes += size
      call.largeMessage.admitted = size
      return true
    }
    if call.largeMessage.awaited == 0 { waiting.append(call) }
    call.largeMessage.awaited = size
    return false
  }

  private func hasRoom(_ size: Int, limit: Int) -> Bool { bytes == 0 || bytes + size <= limit }

  /// A message is complete, or its call has ended.
  mutating func end(_ call: ServerCall) {
    bytes -= call.largeMessage.admitted
    call.largeMessage.admitted = 0
  }

  /// The next call whose message may be received now, as it is admitted; nil: none.
  mutating func admitNext(of handler: GRPCServerHandler, limit: Int) -> ServerCall? {
    while let next = waiting.first {
      let size = next.largeMessage.awaited
      guard size > 0, next.isOpen, next.handler === handler else {
        _ = waiting.popFirst()
        continue
      }
      guard hasRoom(size, limit: limit) else { return nil }
      bytes += size
      next.largeMessage.admitted = size
      next.largeMessage.awaited = 0
      return waiting.popFirst()
    }
    return nil
  }

  mutating func removeAll() { waiting.removeAll() }
}

// The memory that a node holds for its clients, and its limit. One for each event loop, with an
// equal share of the node's setting: loops share nothing, so a loop above its share can close its
// own connections at once, without synchronization. Connections are assigned to the loops in turn,
// so the shares fill evenly. Pure; on its loop.
//
// Counted for each connection: bytes of requests that the service has not accepted, replies that
// the client has not read, a flat sum for each open stream, and large header lists.

struct ClientMemory {
  /// The loop's share, in bytes.
  let bytesMax: Int
  /// Most bytes of one connection.
  let connectionBytesMax: Int
  /// The memory of all connections.
  private(set) var bytes = 0
  /// The maximum of held bytes since malloc was last trimmed.
  private var peakBytes = 0

  /// After this many freed bytes malloc must return pages to the operating system.
  static let fallBytes = 32 << 20

  /// A flat sum for a stream: its objects here and in the library.
  static let streamBytes = 2 << 10

  /// - Parameters:
  ///   - messageBytesMax: the longest message; a connection may hold a few of them.
  ///   - connectionBytesMax: the maximum of one connection; nil: derived from the other two.
  init(bytesMax: Int, messageBytesMax: Int, connectionBytesMax: Int? = nil) {
    self.bytesMax = bytesMax
    self.connectionBytesMax = min(
      bytesMax,
      connectionBytesMax
        ?? max(bytesMax / Self.connectionPart, Self.messagesOfConnection * messageBytesMax))
  }

  private static let connectionPart = 4
  private static let messagesOfConnection = 4

  mutating func change(by difference: Int) {
    bytes += difference
    peakBytes = max(peakBytes, bytes)
  }

  /// Whether so much was freed that malloc should give pages back; true once for each such fall.
  mutating func takeFall() -> Bool {
    guard peakBytes - bytes >= Self.fallBytes else { return false }
    peakBytes = bytes
    return true
  }

  /// Whether connections must be closed.
  var isOver: Bool { bytes > bytesMax }

  /// Whether enough was freed, once `isOver` was true. Some space is freed in addition, so that the
  /// next byte doesn't close another connection.
  var isRelieved: Bool { bytes <= bytesMax - bytesMax / 8 }

  /// Whether connections that hold much must not get new calls.
  var isTight: Bool { bytes > bytesMax - bytesMax / 4 }

  /// Whether a connection holds so much that it gets no new calls while memory is short.
  func isMuch(_ bytes: Int) -> Bool { bytes > bytesMax / 16 }
}

// What the clients of a node make it hold, and its bound. One for each event loop, which has an
// equal share of the node's setting: loops share nothing, so the one that is over its share can end
// its own connections at once and needs no word with others. Connections are dealt out to the loops
// in turn, so the shares fill alike. Pure; lives on its loop.
//
// Counted are, for each connection: bytes of requests that the service has not taken, answers that
// the client has not taken, a flat sum for each open stream, and large header lists.

struct ClientMemory {
  /// The loop's share, in bytes.
  let bytesMax: Int
  /// Most bytes of one connection.
  let connectionBytesMax: Int
  /// What all connections hold.
  private(set) var bytes = 0
  /// Most bytes that were held since so much was last freed that malloc was to give it back.
  private var peakBytes = 0

  /// After this many bytes were freed malloc is to give pages back to the system.
  static let fallBytes = 32 << 20

  /// A flat sum for a stream: its objects here and in the library.
  static let streamBytes = 2 << 10

  /// - Parameters:
  ///   - messageBytesMax: the longest message; a connection may hold a few of them.
  ///   - connectionBytesMax: most bytes of one connection; nil: what follows from the other two.
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

  /// Whether connections must be ended.
  var isOver: Bool { bytes > bytesMax }

  /// Whether enough was freed, once `isOver` was true. Some room is made, so that the next byte
  /// isn't the next cut.
  var isRelieved: Bool { bytes <= bytesMax - bytesMax / 8 }

  /// Whether connections that hold much should get nothing new.
  var isTight: Bool { bytes > bytesMax - bytesMax / 4 }

  /// Whether a connection holds so much that it gets nothing new while memory is tight.
  func isMuch(_ bytes: Int) -> Bool { bytes > bytesMax / 16 }
}

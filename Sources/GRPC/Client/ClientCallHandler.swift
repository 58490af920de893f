// The callbacks of a client connection. All of them are called on the connection's event loop.

/// Whether the peer may have executed an ended call. Decides about retries.
package enum Processed: Sendable, Hashable {
  /// Provably not: never handed to the socket, refused, or above GOAWAY's last id.
  case no
  /// It was sent, and no status arrived: the outcome is unknown.
  case maybe
  /// The peer sent a status.
  case yes
}

/// The receiver of one call's events.
package protocol ClientCallHandler: AnyObject {
  /// Whether `Metadata` is built from received blocks. Checked once for each block.
  var wantsMetadata: Bool { get }
  /// The response's initial metadata. Only if `wantsMetadata`.
  func call(_ call: ClientCall, initialMetadata: Metadata)
  /// One whole message. The pointer is valid during this call only.
  func call(_ call: ClientCall, received message: UnsafeRawBufferPointer)
  /// The call accepts messages again, after `isWritable` was false.
  func callWritable(_ call: ClientCall)
  /// The trailers' metadata, right before the end. Only if `wantsMetadata`.
  func call(_ call: ClientCall, trailingMetadata: Metadata)
  /// The call has ended. Called exactly once, and nothing after it; it may be called inside
  /// `cancel()` or `ClientConnection.close()`, but never inside `startCall`, `send` or `halfClose`.
  func call(_ call: ClientCall, ended status: RPCStatus, processed: Processed)
}

extension ClientCallHandler {
  package var wantsMetadata: Bool { false }
  package func call(_ call: ClientCall, initialMetadata: Metadata) {}
  package func call(_ call: ClientCall, trailingMetadata: Metadata) {}
  package func callWritable(_ call: ClientCall) {}
}

/// Why a connection ended, or could not be made.
package enum ConnectionLoss: Error, Sendable, Hashable, CustomStringConvertible {
  /// No connection: the address, TCP, or no SETTINGS in time.
  case connectFailed(String)
  /// The peer closed it.
  case closedByPeer
  /// We closed it.
  case closedLocally
  /// The peer sent GOAWAY and the calls in progress are done.
  case goAway(String)
  /// There was no reply to a PING in time.
  case unresponsive
  /// The socket or the protocol failed.
  case failed(String)

  package var description: String {
    switch self {
    case .connectFailed(let reason): "connect failed: \(reason)"
    case .closedByPeer: "the peer closed the connection"
    case .closedLocally: "the connection was closed here"
    case .goAway(let reason): "the peer sent GOAWAY: \(reason)"
    case .unresponsive: "the peer does not reply to PING"
    case .failed(let reason): "the connection failed: \(reason)"
    }
  }
}

/// The owner of a connection.
package protocol ClientConnectionDelegate: AnyObject {
  /// The connection accepts no new calls any more; calls in progress continue.
  func connectionGoingAway(_ connection: ClientConnection)
  /// The connection is closed and all its calls have ended. Called once.
  func connectionClosed(_ connection: ClientConnection, reason: ConnectionLoss)
}

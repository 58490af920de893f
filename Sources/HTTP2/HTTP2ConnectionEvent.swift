// What happens to a whole connection rather than to one of its streams. Plain values.

/// An event of the connection, drained with `HTTP2Session.nextConnectionEvent()`.
package enum HTTP2ConnectionEvent: Sendable, Hashable {
  /// The peer accepts no new streams; those above the id were not processed. The session has closed
  /// our streams above it with REFUSED_STREAM.
  case goAway(lastStreamID: Int32, code: HTTP2ErrorCode, debug: String)
  /// The peer acknowledged our PING with this payload.
  case pingAcknowledged(payload: UInt64)
  /// The peer sent a PING; the session acknowledges it.
  case pingReceived
  /// The peer's SETTINGS are in force.
  case settingsReceived
  /// The peer acknowledged our SETTINGS.
  case settingsAcknowledged
}

/// Why a session can't continue. After any of these it is never fed again.
package enum HTTP2SessionFailure: Error, Sendable, Hashable, CustomStringConvertible {
  /// nghttp2 failed, with its own text: bad preface, no memory.
  case nghttp2(String)
  /// nghttp2 gave up, because the peer made it queue too many replies to control frames.
  case flooded
  /// The owner reported that the connection is gone.
  case connectionLost

  package var description: String {
    switch self {
    case .nghttp2(let text): "HTTP/2: \(text)"
    case .flooded: "HTTP/2: too many control frames"
    case .connectionLost: "the connection was closed"
    }
  }
}

/// Frames counted since the session began; owners compare them with their own limits.
package struct HTTP2Counters: Sendable, Hashable {
  /// RST_STREAM frames from the peer for streams that were open.
  package var resetsReceived = 0
  /// Those of streams of which it had not been sent any of the body.
  package var resetsBeforeResponse = 0
  /// RST_STREAM frames we had to send because of the peer's errors, not by our own decision.
  package var resetsForPeerErrors = 0
  /// HEADERS and DATA frames sent.
  package var usefulFramesSent = 0
  /// Frames from the peer, large DATA and CONTINUATION apart.
  package var framesReceived = 0
  /// Those among them that carried part of a call: a block for an open stream, body bytes without
  /// padding, the end of the stream, or its reset. Resets have limits of their own.
  package var callFramesReceived = 0
  /// Streams that the peer opened.
  package var streamsOpened = 0

  /// Frames from the peer that carry nothing of a call: PING, SETTINGS, PRIORITY, WINDOW_UPDATE,
  /// unknown types, DATA that is empty or padded, frames of streams that are closed.
  package var controlFramesReceived: Int { framesReceived - callFramesReceived }
}

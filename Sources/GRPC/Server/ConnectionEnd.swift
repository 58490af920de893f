// Why a node closes a connection. Values; the names are visible to users.

import HTTP2

/// The reasons for which a node closes a connection. Each is a counter of Stats, a field of the log
/// and, on gRPC connections, the text of GOAWAY, with one name that never changes.
package enum ConnectionEnd: Sendable, CaseIterable {
  // Refused: the connection was one too many.
  case tooManyConnections
  case tooManyConnectionsOfAddress
  case tooManyHandshakes
  // TLS.
  case handshakeTimeout
  case handshakeFailed
  case wrongALPN
  // Time limits.
  case idle
  case maxAge
  case maxAgeGrace
  case noPreface
  case slowHeaders
  case unreadReplies
  case keepaliveTimeout
  case silentLink
  case drainTimeout
  // Asked for.
  case administrator
  // Floods.
  case tooManyPings
  case tooManyResets
  case tooManyStreamErrors
  case tooManyControlFrames
  // Memory.
  case memoryBudget
  // Broken rules.
  case protocolError

  /// The name. `too_many_pings` is gRPC's own text of GOAWAY, which clients check.
  package var name: StaticString {
    switch self {
    case .tooManyConnections: "too_many_connections"
    case .tooManyConnectionsOfAddress: "too_many_connections_of_address"
    case .tooManyHandshakes: "too_many_handshakes"
    case .handshakeTimeout: "handshake_timeout"
    case .handshakeFailed: "handshake_failed"
    case .wrongALPN: "wrong_alpn"
    case .idle: "idle"
    case .maxAge: "max_age"
    case .maxAgeGrace: "max_age_grace"
    case .noPreface: "no_preface"
    case .slowHeaders: "slow_headers"
    case .unreadReplies: "unread_replies"
    case .keepaliveTimeout: "keepalive_timeout"
    case .silentLink: "silent_link"
    case .drainTimeout: "drain_timeout"
    case .administrator: "administrator"
    case .tooManyPings: "too_many_pings"
    case .tooManyResets: "too_many_resets"
    case .tooManyStreamErrors: "too_many_stream_errors"
    case .tooManyControlFrames: "too_many_control_frames"
    case .memoryBudget: "memory_budget"
    case .protocolError: "protocol_error"
    }
  }

  /// Whether it is not an error, and no call is lost by it.
  package var isOrdinary: Bool { self == .idle || self == .maxAge }

  /// Whether the connection was refused rather than cut.
  package var isRefusal: Bool {
    switch self {
    case .tooManyConnections, .tooManyConnectionsOfAddress, .tooManyHandshakes: true
    default: false
    }
  }

  /// The code of GOAWAY.
  var code: HTTP2ErrorCode {
    switch self {
    case .idle, .maxAge, .maxAgeGrace, .drainTimeout, .administrator: .noError
    case .protocolError, .noPreface: .protocolError
    default: .enhanceYourCalm
    }
  }
}

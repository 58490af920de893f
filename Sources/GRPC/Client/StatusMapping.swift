// From what HTTP/2 says to a gRPC status: trailers, HTTP status codes, RST_STREAM codes (gRPC's
// PROTOCOL-HTTP2 and http-grpc-status-mapping). Pure functions.

import HTTP2
import TextForms

enum StatusMapping {
  /// The status that a block of trailers (or a Trailers-Only header block) carries; nil if it has
  /// no `grpc-status`.
  static func status(of block: HeaderBlock) -> RPCStatus? {
    guard let number = block.first("grpc-status") else { return nil }
    var status = RPCStatus(StatusCode(wire: number))
    if status.isOK { return .ok }
    if let message = block.first("grpc-message") { status.message = PercentCoding.decode(message) }
    if let details = block.first("grpc-status-details-bin") {
      status.details = Base64.decode(details) ?? []
    }
    if let pushback = block.first("grpc-retry-pushback-ms") {
      // Negative or unreadable both mean: do not retry (gRFC A6).
      status.pushbackMillis = DecimalDigits.parse(pushback, digitsMax: 9).map { Int($0) } ?? -1
    }
    return status
  }

  /// The status for a response that is no gRPC response; nil if it looks like one.
  static func refusal(ofResponse headers: HeaderBlock) -> RPCStatus? {
    guard let http = headers.status else {
      return RPCStatus(.internal, "response without a proper :status")
    }
    guard http == 200 else { return RPCStatus(code(forHTTP: http), "HTTP status \(http)") }
    let prefix = "application/grpc".utf8
    guard let type = headers.first("content-type"), type.count >= prefix.count,
      type.prefix(prefix.count).elementsEqual(prefix)
    else {
      return RPCStatus(.unknown, "response is not application/grpc")
    }
    return nil
  }

  /// http-grpc-status-mapping.md.
  static func code(forHTTP status: Int) -> StatusCode {
    switch status {
    case 400, 431: .internal
    case 401: .unauthenticated
    case 403: .permissionDenied
    case 404: .unimplemented
    case 429, 502, 503, 504: .unavailable
    default: .unknown
    }
  }

  /// The status of a stream that the peer reset.
  static func status(forReset code: HTTP2ErrorCode) -> RPCStatus {
    let mapped: StatusCode =
      switch code {
      case .refusedStream: .unavailable
      case .cancel: .cancelled
      case .enhanceYourCalm: .resourceExhausted
      case .inadequateSecurity: .permissionDenied
      default: .internal
      }
    return RPCStatus(mapped, "the peer reset the stream: \(code)")
  }
}

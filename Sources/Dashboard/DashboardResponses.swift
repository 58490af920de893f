// The responses to the dashboard: JSON, or an error with its message. Pure.

import Admin
import NIOHTTP1
import RingstoreAPI
import StatusCodes
import TextForms

extension AdminResponse {
  /// An error as the page reads it: {"error": {"code", "reason", "message"}}.
  init(_ error: CallError) {
    let body = JSONValue.object([
      .init(
        "error",
        .object([
          .init("code", .string(error.code.name)),
          .init("reason", error.reason.map { .string($0.rawValue) } ?? .null),
          .init("message", .string(error.message)),
        ]))
    ])
    self = .json(body.text)
    status = Self.status(of: error)
    // No Basic: the browser would show its own login window.
    if status == .unauthorized { headers = [("WWW-Authenticate", "Bearer realm=\"ringstore\"")] }
  }

  private static func status(of error: CallError) -> HTTPResponseStatus {
    switch error.code {
    case .unauthenticated: .unauthorized
    case .permissionDenied: .forbidden
    case .invalidArgument, .outOfRange, .failedPrecondition: .badRequest
    case .resourceExhausted: .tooManyRequests
    case .deadlineExceeded: .gatewayTimeout
    case .unavailable: .serviceUnavailable
    default: .internalServerError
    }
  }
}

extension JSONValue {
  static func text(_ bytes: UnsafeRawBufferPointer) -> JSONValue {
    .string(String(decoding: bytes, as: UTF8.self))
  }

  /// Any bytes, as Base64url.
  static func base64(_ bytes: UnsafeRawBufferPointer) -> JSONValue {
    .string(Base64URL.encode(Array(bytes)))
  }

  static func count(_ number: some BinaryInteger) -> JSONValue { .integer(Int64(clamping: number)) }

  /// Numbers of 64 bits as text; a browser would keep only 53 bits.
  static func bits(_ number: UInt64) -> JSONValue { .string(String(number)) }

  /// A key, or the beginning of one that is too long for a request.
  static func members(ofKey key: UnsafeRawBufferPointer) -> [Member] {
    let isWhole = key.count <= DashboardLimits.keyBytesMax
    let shown =
      isWhole ? key : UnsafeRawBufferPointer(rebasing: key.prefix(DashboardLimits.keyBytesShown))
    return [
      Member("key", .base64(shown)), Member("key_bytes", .count(key.count)),
      Member("whole", .bool(isWhole)),
    ]
  }

  /// Shards that are missing in a reply.
  static func unreachable(_ errors: RepeatedMessages<V1.Error>) -> JSONValue {
    .array(
      errors.map { error in
        .object([.init("shard", .text(error.shard)), .init("message", .text(error.message))])
      })
  }
}

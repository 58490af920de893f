// How a call ended: the status that a server sends, a client throws, and both sides put into
// trailers. A value, safe on every thread.

import TextForms

/// The outcome of one RPC, as trailers carry it.
package struct RPCStatus: Error, Sendable, Hashable {
  /// The status code, sent as `grpc-status`.
  package var code: StatusCode
  /// Words for people, sent percent-encoded as `grpc-message`.
  package var message: String
  /// An encoded `google.rpc.Status` for `grpc-status-details-bin`; empty: none.
  package var details: [UInt8]
  /// Milliseconds to wait before a retry (`grpc-retry-pushback-ms`); -1: do not retry; nil: absent.
  package var pushbackMillis: Int?

  package init(
    _ code: StatusCode, _ message: String = "", details: [UInt8] = [], pushbackMillis: Int? = nil
  ) {
    self.code = code
    self.message = message
    self.details = details
    self.pushbackMillis = pushbackMillis
  }

  /// The call succeeded.
  package static let ok = RPCStatus(.ok)

  /// Whether the code is OK.
  package var isOK: Bool {
    // Not `==`, which another module's type gets from the generic protocol.
    if case .ok = code { true } else { false }
  }
}

extension RPCStatus: CustomStringConvertible {
  package var description: String { message.isEmpty ? code.name : "\(code.name): \(message)" }
}

extension StatusCode {
  /// Reads the value of a `grpc-status` field. An unknown code counts as UNKNOWN, as statuscodes.md
  /// requires; never fails.
  package init(wire bytes: UnsafeRawBufferPointer) {
    guard let number = DecimalDigits.parse(bytes, digitsMax: 2),
      let code = StatusCode(rawValue: Int32(truncatingIfNeeded: number))
    else {
      self = .unknown
      return
    }
    self = code
  }
}

// How a call ended: the status a server answers, a client throws, and both sides put into trailers.
// A value, owned by nobody, safe on every thread.

/// The outcome of one RPC, as trailers carry it.
package struct RPCStatus: Error, Sendable, Hashable {
  /// The status code, sent as `grpc-status`.
  package var code: StatusCode
  /// Words for people, sent percent-encoded as `grpc-message`.
  package var message: String
  /// An encoded `google.rpc.Status` for `grpc-status-details-bin`; empty: none.
  package var details: [UInt8]
  /// Milliseconds to wait before a retry (`grpc-retry-pushback-ms`); -1: do not retry; nil: not
  /// said.
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
  package var isOK: Bool { code == .ok }
}

extension RPCStatus: CustomStringConvertible {
  package var description: String { message.isEmpty ? code.name : "\(code.name): \(message)" }
}

extension StatusCode {
  /// Reads the value of a `grpc-status` field. What is no known code counts as UNKNOWN, as
  /// statuscodes.md asks; never fails.
  package init(wire bytes: UnsafeRawBufferPointer) {
    guard let number = DecimalText.parse(bytes, digitsMax: 2),
      let code = StatusCode(rawValue: Int32(truncatingIfNeeded: number))
    else {
      self = .unknown
      return
    }
    self = code
  }
}

/// Reads unsigned decimal numbers out of header bytes.
package enum DecimalText {
  /// The number that `bytes` spell, or nil if they are empty, longer than `digitsMax` (at most 18,
  /// so that nothing can overflow) or hold anything but digits.
  package static func parse(_ bytes: UnsafeRawBufferPointer, digitsMax: Int) -> UInt64? {
    guard !bytes.isEmpty, bytes.count <= min(digitsMax, 18) else { return nil }
    var number: UInt64 = 0
    for byte in bytes {
      guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { return nil }
      number = number &* 10 &+ UInt64(byte &- UInt8(ascii: "0"))
    }
    return number
  }
}

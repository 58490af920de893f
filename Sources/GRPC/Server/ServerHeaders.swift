// Header blocks a server sends: laid out once where they never change, built in a reusable block
// where they carry a status.

import HTTP2
import TextForms

enum ServerHeaders {
  static let response = StaticHeaders([
    (":status", "200"), ("content-type", "application/grpc"),
  ])
  static let okTrailers = StaticHeaders([("grpc-status", "0")])
  static let unsupportedMediaType = StaticHeaders([(":status", "415")])
  static let methodNotAllowed = StaticHeaders([(":status", "405"), ("allow", "POST")])

  /// A longer message is cut: clients refuse header lists over about 8 KiB.
  static let maxMessageBytes = 1_024
  /// Longer details are left out, for the same reason; half a header can't be decoded.
  static let maxDetailBytes = 4_096

  /// Fills `block` with the fields of a Trailers-Only answer.
  static func trailersOnly(_ status: RPCStatus, into block: HeaderBlock) {
    block.removeAll()
    block.append(":status", value: ("200" as StaticString).bytes)
    block.append("content-type", value: ("application/grpc" as StaticString).bytes)
    append(status, to: block)
    if status.code == .unimplemented {
      block.append("grpc-accept-encoding", value: ("identity" as StaticString).bytes)
    }
  }

  /// Fills `block` with trailers.
  static func trailers(_ status: RPCStatus, into block: HeaderBlock) {
    block.removeAll()
    append(status, to: block)
  }

  private static func append(_ status: RPCStatus, to block: HeaderBlock) {
    append("grpc-status", "\(status.code.rawValue)", to: block, indexed: true)
    if !status.message.isEmpty {
      let text = String(decoding: status.message.utf8.prefix(maxMessageBytes), as: UTF8.self)
      PercentCoding.encode(text).withUnsafeBytes {
        block.append("grpc-message", value: $0, indexed: false)
      }
    }
    if !status.details.isEmpty, status.details.count <= maxDetailBytes {
      Base64.encode(status.details).withUnsafeBytes {
        block.append("grpc-status-details-bin", value: $0, indexed: false)
      }
    }
    if let pushback = status.pushbackMillis {
      append("grpc-retry-pushback-ms", "\(pushback)", to: block, indexed: false)
    }
  }

  private static func append(
    _ name: StaticString, _ value: String, to block: HeaderBlock, indexed: Bool
  ) {
    var value = value
    value.withUTF8 { block.append(name, value: UnsafeRawBufferPointer($0), indexed: indexed) }
  }
}

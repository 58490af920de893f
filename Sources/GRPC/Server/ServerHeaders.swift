// Header blocks that a server sends: built once if they never change, built in a reusable block if
// they carry a status.

import HTTP2
import TextForms

enum ServerHeaders {
  static let response = StaticHeaders([
    (":status", "200"), ("content-type", "application/grpc"),
  ])
  /// The first response of a connection lists the supported encodings. A client that has read the
  /// list on one call has it for all, and the other responses are a byte shorter.
  static let firstResponse = StaticHeaders([
    (":status", "200"), ("content-type", "application/grpc"),
    ("grpc-accept-encoding", "identity,gzip"),
  ])
  static let okTrailers = StaticHeaders([("grpc-status", "0")])
  static let unsupportedMediaType = StaticHeaders([(":status", "415")])
  static let methodNotAllowed = StaticHeaders([(":status", "405"), ("allow", "POST")])

  private static let encodings: StaticString = "identity,gzip"

  /// A longer message is cut: clients refuse header lists over about 8 KiB.
  static let maxMessageBytes = 1_024
  /// Longer details are left out, for the same reason; half a header can't be decoded.
  static let maxDetailBytes = 4_096

  /// Fills `block` with the fields of a Trailers-Only response.
  static func trailersOnly(_ status: RPCStatus, into block: HeaderBlock) {
    block.removeAll()
    block.append(":status", value: ("200" as StaticString).bytes)
    block.append("content-type", value: ("application/grpc" as StaticString).bytes)
    append(status, to: block)
    if status.code == .unimplemented {
      block.append("grpc-accept-encoding", value: encodings.bytes)
    }
  }

  /// Fills `block` with the headers of a response that has extras.
  static func response(_ extras: CallExtras, into block: HeaderBlock) {
    block.removeAll()
    block.append(":status", value: ("200" as StaticString).bytes)
    block.append("content-type", value: ("application/grpc" as StaticString).bytes)
    block.append("grpc-accept-encoding", value: encodings.bytes)
    if extras.replyEncoding == .gzip {
      block.append("grpc-encoding", value: ("gzip" as StaticString).bytes)
    }
    append(extras.initialMetadata, to: block)
  }

  /// Adds metadata of the service's.
  static func append(_ metadata: Metadata, to block: HeaderBlock) {
    metadata.forEachWireField { block.append(name: $0, value: $1, indexed: false) }
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

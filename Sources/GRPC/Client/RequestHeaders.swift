// The header block of requests, built in one reused piece of memory. One per connection, on its
// event loop. Order as PROTOCOL-HTTP2 gives it: pseudo-headers, timeout, the rest, metadata.

import HTTP2

/// Builds request header blocks.
final class RequestHeaders {
  private let block = HeaderBlock()
  private let constantFields: Int
  private let constant = HeaderBlock()

  /// - Parameter token: the caller's; nil: none. It goes into the peer's HPACK table: a random
  ///   token can't be guessed from the sizes of blocks.
  init(
    authority: String, userAgent: String, acceptsGzip: Bool, isEncrypted: Bool = false,
    token: String? = nil
  ) {
    block.append(":method", "POST")
    block.append(":scheme", isEncrypted ? "https" : "http")
    block.append(":authority", authority)
    constantFields = block.count
    constant.append("te", "trailers")
    constant.append("content-type", "application/grpc")
    constant.append("user-agent", userAgent)
    if acceptsGzip { constant.append("grpc-accept-encoding", "identity,gzip") }
    // Other bytes make no header, and would end the call in a way that says nothing of why.
    if let token, token.utf8.allSatisfy({ (0x21...0x7e).contains($0) }) {
      constant.append("authorization", "Bearer \(token)")
    }
  }

  /// The block of one call, valid until the next. Timeouts are kept out of the peer's HPACK table:
  /// each is different and would push out the fields that last.
  func block(
    path: String, timeoutNanos: UInt64?, metadata: Metadata,
    encoding: MessageEncoding = .identity
  ) -> HeaderBlock {
    block.truncate(to: constantFields)
    var path = path
    path.withUTF8 { block.append(":path", value: UnsafeRawBufferPointer($0)) }
    if let timeoutNanos {
      GRPCTimeout.format(nanos: timeoutNanos).withUnsafeBytes {
        block.append("grpc-timeout", value: $0, indexed: false)
      }
    }
    block.append(contentsOf: constant)
    if encoding == .gzip {
      block.append("grpc-encoding", value: ("gzip" as StaticString).bytes)
    }
    if !metadata.isEmpty {
      metadata.forEachWireField { block.append(name: $0, value: $1, indexed: false) }
    }
    return block
  }
}

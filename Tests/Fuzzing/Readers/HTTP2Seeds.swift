// Conversations of honest peers, from which the readers of HTTP/2 and gRPC begin.

import GRPC
import HTTP2
import NIOCore

enum HTTP2Seeds {
  /// A client's first bytes (RFC 9113 section 3.4).
  static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
  static let response = StaticHeaders([
    (":status", "200"), ("content-type", "application/grpc"),
  ])
  static let trailers = StaticHeaders([("grpc-status", "0")])

  static func request(_ path: String, _ more: [(String, String)] = []) -> HeaderBlock {
    block(
      [
        (":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "test"),
        ("content-type", "application/grpc"), ("te", "trailers"),
      ] + more)
  }

  static func block(_ fields: [(String, String)]) -> HeaderBlock {
    let block = HeaderBlock()
    for (name, value) in fields { block.append(name, value) }
    return block
  }

  /// A message behind its prefix.
  static func framed(_ message: [UInt8], isCompressed: Bool = false) -> [UInt8] {
    var buffer = ByteBuffer()
    message.withUnsafeBytes { MessageFrame.write($0, to: &buffer) }
    if isCompressed { buffer.setInteger(UInt8(1), at: 0) }
    return Array(buffer.readableBytesView)
  }

  static func gzip(_ bytes: [UInt8]) -> [UInt8] {
    var buffer = ByteBuffer()
    _ = bytes.withUnsafeBytes { GzipCodec().deflate($0, into: &buffer) }
    return Array(buffer.readableBytesView)
  }

  /// What a client says that makes these calls and sends these bodies; `isOpen`: it doesn't end
  /// them.
  static func client(
    _ calls: [(path: String, fields: [(String, String)], body: [UInt8])], isOpen: Bool = false
  ) -> [UInt8] {
    guard let session = try? HTTP2Session(role: .client) else { return [] }
    for call in calls {
      guard let stream = session.submitRequest(request(call.path, call.fields)) else { continue }
      stream.outbound.writeBytes(call.body)
      session.bodyChanged(stream)
      if !isOpen { session.finish(stream) }
    }
    session.ping(payload: 1)
    return output(of: session)
  }

  static func output(of session: HTTP2Session) -> [UInt8] {
    var buffer = ByteBuffer()
    while session.writePending(into: &buffer, limit: buffer.readableBytes + 65_536) {}
    session.forEachTouchedStream { _ in }
    return Array(buffer.readableBytesView)
  }

  static let unary = "/f/Unary"
  static let stream = "/f/Stream"

  /// What clients say to a gRPC server.
  static let requests: [[UInt8]] = {
    let hello = framed(Array("hello".utf8))
    let long = Array(repeating: UInt8(120), count: 400)
    let packed = framed(gzip(long), isCompressed: true)
    return [
      client([(unary, [], hello), (unary, [("grpc-timeout", "10m")], hello)]),
      client([
        (unary, [("grpc-encoding", "gzip"), ("grpc-accept-encoding", "gzip")], packed),
        (stream, [("grpc-encoding", "gzip")], packed + hello + packed),
      ]),
      client([(stream, [("a-bin", "AAEC,/w"), ("authorization", "Bearer x")], hello + hello)]),
      client([(stream, [], hello), (unary, [], [])], isOpen: true),
      client([("/f/None", [], hello), (unary, [("grpc-encoding", "zstd")], hello)]),
      client([(unary, [], framed(Array(repeating: 1, count: 2_000))), (unary, [], hello + hello)]),
      client([(unary, [], [0, 0, 0])]),
    ]
  }()

  /// What a server says to a client that has made four calls.
  static let replies: [[UInt8]] = {
    let hello = framed(Array("hello".utf8))
    let packed = framed(gzip(Array(repeating: 120, count: 400)), isCompressed: true)
    let cases: [(head: [(String, String)], body: [UInt8], tail: [(String, String)]?)] = [
      ([], hello, [("grpc-status", "0")]),
      ([("grpc-encoding", "gzip"), ("a-bin", "AAEC")], packed + hello, [("grpc-status", "0")]),
      ([], hello, [("grpc-status", "8"), ("grpc-message", "a%20b%C3%A9%"), ("x", "y")]),
      ([], [0, 0, 0, 9, 9, 1], [("grpc-status", "x"), ("grpc-retry-pushback-ms", "-1")]),
      ([("grpc-status", "5"), ("grpc-message", "gone")], [], nil),
    ]
    return cases.map { reply in
      guard let session = try? HTTP2Session(role: .server) else { return [] }
      client(Array(repeating: (unary, [], hello), count: 4)).withUnsafeBytes {
        session.receive($0)
      }
      let head = block([(":status", "200"), ("content-type", "application/grpc")] + reply.head)
      session.forEachTouchedStream { stream in
        session.submitResponse(stream, headers: head, hasBody: reply.tail != nil)
        guard let tail = reply.tail else { return }
        stream.outbound.writeBytes(reply.body)
        session.bodyChanged(stream)
        session.finish(stream, trailers: block(tail))
      }
      session.shutDown()
      return output(of: session)
    }
  }()

  static let sessions: [[UInt8]] =
    heads([1, 30, 0], [6, 90, 2], before: requests)
    + heads([2, 30, 1], [7, 90, 3], before: replies)

  /// Each of the inputs behind each of two beginnings.
  static func heads(_ one: [UInt8], _ other: [UInt8], before inputs: [[UInt8]]) -> [[UInt8]] {
    inputs.map { one + $0 } + inputs.map { other + $0 }
  }
}

// A client that costs next to nothing: the same request bytes for each stream, and of the replies
// it only counts the ends. For tests with very many calls.

import HTTP2
import Logging
import NIOCore
import NIOEmbedded

@testable import GRPC

/// One connection to a server loop.
final class RawClient {
  let channel: EmbeddedChannel
  let handler: GRPCServerHandler
  private(set) var opened = 0
  /// Streams that the server ended, and bytes of bodies that came.
  private(set) var ended = 0
  private(set) var bodyBytes = 0
  private var received = ByteBuffer()

  init(_ loop: ServerLoop, _ eventLoop: EmbeddedEventLoop, hello: ByteBuffer) throws {
    handler = try GRPCServerHandler(loop: loop)
    channel = EmbeddedChannel(loop: eventLoop)
    try channel.pipeline.syncOperations.addHandler(handler)
    channel.connect(to: try SocketAddress(ipAddress: "127.0.0.1", port: 1), promise: nil)
    try channel.writeInbound(hello)
  }

  /// Opens so many calls in one read.
  func open(_ count: Int, _ request: RawRequest) throws {
    var bytes = ByteBuffer()
    for _ in 0..<count {
      request.write(stream: UInt32(2 * opened + 1), to: &bytes)
      opened += 1
    }
    try channel.writeInbound(bytes)
  }

  /// Takes what the server wrote.
  func take() throws {
    while var part = try channel.readOutbound(as: ByteBuffer.self) {
      received.writeBuffer(&part)
    }
    while received.readableBytes >= 9,
      let length: UInt32 = received.getInteger(at: received.readerIndex),
      received.readableBytes >= 9 + Int(length >> 8),
      let flags: UInt8 = received.getInteger(at: received.readerIndex + 4)
    {
      let type = UInt8(truncatingIfNeeded: length)
      if type == 0 { bodyBytes += Int(length >> 8) }
      if type == 1, flags & 1 != 0 { ended += 1 }
      received.moveReaderIndex(forwardBy: 9 + Int(length >> 8))
    }
    received.discardReadBytes()
  }
}

/// The frames of a call, without their stream: no field is put into the HPACK table, so they serve
/// again and again.
struct RawRequest {
  private var headers: [UInt8] = []
  private let body: [UInt8]
  /// The preface and the client's SETTINGS.
  private(set) var hello = ByteBuffer()

  init(path: String, message: [UInt8]) throws {
    body = ServerHarness.frame(message)
    let session = try HTTP2Session(role: .client)
    session.writePending(into: &hello)
    let block = HeaderBlock()
    for (name, value) in [
      (":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "test"),
      ("content-type", "application/grpc"), ("te", "trailers"),
    ] { block.append(name, value, indexed: false) }
    _ = session.submitRequest(block)
    var frame = ByteBuffer()
    session.writePending(into: &frame)
    headers = Array(frame.readableBytesView)
  }

  func write(stream: UInt32, to buffer: inout ByteBuffer) {
    let start = buffer.writerIndex
    buffer.writeBytes(headers)
    buffer.setInteger(stream, at: start + 5)
    buffer.writeInteger(UInt32(body.count) << 8)
    buffer.writeInteger(UInt8(1))
    buffer.writeInteger(stream)
    buffer.writeBytes(body)
  }
}

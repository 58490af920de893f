// A client and a server session talking without a socket.

import NIOCore

@testable import HTTP2

/// Carries bytes between two sessions and runs what the test does on each touched stream.
final class InMemoryWire {
  let client: HTTP2Session
  let server: HTTP2Session
  var onClient: (HTTP2Session, HTTP2Stream) -> Void = { _, _ in }
  var onServer: (HTTP2Session, HTTP2Stream) -> Void = { _, _ in }
  var clientEvents: [HTTP2ConnectionEvent] = []
  var serverEvents: [HTTP2ConnectionEvent] = []
  /// Bytes fed at once.
  var sliceBytes = Int.max
  /// How closed streams ended, by side; they are recycled after being noted.
  var clientCloses: [Int32: HTTP2ErrorCode] = [:]
  var serverCloses: [Int32: HTTP2ErrorCode] = [:]

  init(
    client clientConfiguration: HTTP2Configuration = HTTP2Configuration(),
    server serverConfiguration: HTTP2Configuration = HTTP2Configuration(),
    pool: HTTP2StreamPool = HTTP2StreamPool(streamsMax: HTTP2StreamPool.sessionStreamsMax)
  ) throws {
    client = try HTTP2Session(role: .client, configuration: clientConfiguration)
    server = try HTTP2Session(
      role: .server, configuration: serverConfiguration, pool: pool)
  }

  /// Moves bytes both ways until both sides are silent.
  func pump() {
    drain()
    var isBusy = true
    while isBusy {
      let toServer = output(of: client)
      feed(server, toServer)
      let toClient = output(of: server)
      feed(client, toClient)
      isBusy = !toServer.isEmpty || !toClient.isEmpty
    }
  }

  /// All that a session has to say now.
  func output(of session: HTTP2Session) -> [UInt8] {
    var buffer = ByteBuffer()
    while session.writePending(into: &buffer, limit: buffer.readableBytes + 65_536) {}
    drain()
    return Array(buffer.readableBytesView)
  }

  func feed(_ session: HTTP2Session, _ bytes: [UInt8]) {
    bytes.withUnsafeBytes { all in
      var rest = all[...]
      while !rest.isEmpty {
        let slice = rest.prefix(sliceBytes)
        session.receive(UnsafeRawBufferPointer(rebasing: slice))
        drain()
        rest = rest.dropFirst(slice.count)
      }
    }
  }

  func drain() {
    drain(client, onClient, &clientCloses, &clientEvents)
    drain(server, onServer, &serverCloses, &serverEvents)
  }

  private func drain(
    _ session: HTTP2Session, _ handler: (HTTP2Session, HTTP2Stream) -> Void,
    _ closes: inout [Int32: HTTP2ErrorCode], _ events: inout [HTTP2ConnectionEvent]
  ) {
    session.forEachTouchedStream { stream in
      handler(session, stream)
      if stream.isClosed {
        closes[stream.id] = stream.closeCode
        session.recycle(stream)
      }
    }
    while let event = session.nextConnectionEvent() { events.append(event) }
  }

  /// Opens a request as gRPC would.
  func request(_ path: String = "/s/m", body: [UInt8]? = nil) -> HTTP2Stream? {
    let stream = client.submitRequest(Self.requestHeaders(path))
    if let stream, let body {
      stream.outbound.writeBytes(body)
      client.bodyChanged(stream)
      client.finish(stream)
    }
    return stream
  }

  static func requestHeaders(_ path: String = "/s/m") -> HeaderBlock {
    let block = HeaderBlock()
    block.append(":method", "POST")
    block.append(":scheme", "http")
    block.append(":path", path)
    block.append(":authority", "test")
    return block
  }
}

/// What tests send as a normal reply.
enum Sample {
  static let response = StaticHeaders([(":status", "200"), ("content-type", "application/grpc")])
  static let trailers = StaticHeaders([("grpc-status", "0")])

  /// A server that gathers the request's body and replies with the same bytes.
  static func echo(_ session: HTTP2Session, _ stream: HTTP2Stream) {
    session.consume(stream, stream.unconsumed)
    guard stream.remoteEnded, !stream.localEnded, !stream.isClosed else { return }
    stream.outbound.writeBuffer(&stream.inbound)
    session.submitResponse(stream, headers: response)
    session.bodyChanged(stream)
    session.finish(stream, trailers: trailers)
  }
}

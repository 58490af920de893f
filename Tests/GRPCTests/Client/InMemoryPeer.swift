// A client connection on an EmbeddedChannel, and a peer: an HTTP/2 session in the server's role
// that does exactly what the test says. No sockets, and the clock stands still until told to move.

import HTTP2
import NIOCore
import NIOEmbedded
import Testing

@testable import GRPC

/// Records the events of a call's handler.
final class RecordingHandler: ClientCallHandler {
  var wantsMetadata = false
  var initialMetadata: Metadata?
  var trailingMetadata: Metadata?
  var messages: [[UInt8]] = []
  var writableCount = 0
  var status: RPCStatus?
  var processed: Processed?
  var endCount = 0
  var onMessage: ((ClientCall) -> Void)?
  var onWritable: ((ClientCall) -> Void)?
  var onEnd: ((ClientCall) -> Void)?

  func call(_ call: ClientCall, initialMetadata: Metadata) {
    self.initialMetadata = initialMetadata
  }

  func call(_ call: ClientCall, received message: UnsafeRawBufferPointer) {
    messages.append(Array(message))
    onMessage?(call)
  }

  func callWritable(_ call: ClientCall) {
    writableCount += 1
    onWritable?(call)
  }

  func call(_ call: ClientCall, trailingMetadata: Metadata) {
    self.trailingMetadata = trailingMetadata
  }

  func call(_ call: ClientCall, ended status: RPCStatus, processed: Processed) {
    self.status = status
    self.processed = processed
    endCount += 1
    onEnd?(call)
  }
}

/// Records the events of a connection's owner.
final class RecordingDelegate: ClientConnectionDelegate {
  var goingAwayCount = 0
  var lossReasons: [ConnectionLoss] = []
  func connectionGoingAway(_ connection: ClientConnection) { goingAwayCount += 1 }
  func connectionClosed(_ connection: ClientConnection, reason: ConnectionLoss) {
    lossReasons.append(reason)
  }
}

/// Client and peer, joined by `exchange()`.
final class InMemoryPeer {
  let loop: EmbeddedEventLoop
  let channel: EmbeddedChannel
  let connection: ClientConnection
  let delegate = RecordingDelegate()
  let session: HTTP2Session
  /// Streams that the client opened, in order; kept until the peer is done with them.
  var streams: [HTTP2Stream] = []
  var events: [HTTP2ConnectionEvent] = []
  /// Bytes that go to the client at a time; small ones cut frames into pieces.
  var chunkBytes = Int.max

  init(
    configuration: ClientConfiguration = ClientConfiguration(),
    server: HTTP2Configuration = HTTP2Configuration(),
    loop: EmbeddedEventLoop = EmbeddedEventLoop(), owner: (any ClientConnectionDelegate)? = nil
  ) throws {
    self.loop = loop
    session = try HTTP2Session(role: .server, configuration: server)
    connection = try ClientConnection(
      eventLoop: loop, authority: "peer:1", configuration: configuration,
      delegate: owner ?? delegate)
    channel = EmbeddedChannel(loop: loop)
    try channel.pipeline.syncOperations.addHandler(connection.makeHandler())
    channel.connect(to: try SocketAddress(ipAddress: "127.0.0.1", port: 1), promise: nil)
    exchange()
  }

  /// Moves bytes both ways until both sides are silent.
  func exchange() {
    for _ in 0..<200 where !step() { return }
  }

  /// One round; returns whether anything moved.
  func step() -> Bool {
    loop.run()
    var moved = connection.flusher.scheduler.hasTurns
    if moved { loop.advanceTime(by: LoopScheduler.turnPause) }
    while let bytes = try? channel.readOutbound(as: ByteBuffer.self) {
      moved = true
      bytes.withUnsafeReadableBytes { session.receive($0) }
    }
    drain()
    var reply = ByteBuffer()
    session.writePending(into: &reply, limit: .max)
    drain()
    while let part = reply.readSlice(length: min(chunkBytes, reply.readableBytes)),
      part.readableBytes > 0
    {
      moved = true
      _ = try? channel.writeInbound(part)
    }
    loop.run()
    return moved
  }

  private func drain() {
    session.forEachTouchedStream { stream in
      if !streams.contains(where: { $0 === stream }) { streams.append(stream) }
    }
    while let event = session.nextConnectionEvent() { events.append(event) }
  }

  /// Has the peer send GOAWAY for the streams it has seen, and the client do `body` before it
  /// reads that: what `body` starts crosses the GOAWAY on its way.
  func goAway(crossing body: () throws -> Void) throws {
    session.shutDown()
    var bytes = ByteBuffer()
    session.writePending(into: &bytes, limit: .max)
    try body()
    loop.run()
    try channel.writeInbound(bytes)
    exchange()
  }

  func start(
    _ handler: RecordingHandler, metadata: Metadata = Metadata(), timeoutNanos: UInt64? = nil,
    path: String = "/test.Service/Call"
  ) -> ClientCall {
    connection.startCall(
      path: path, metadata: metadata, timeoutNanos: timeoutNanos, handler: handler)
  }

  /// Starts a call, the first of its connection. Returns the peer's stream.
  func open(_ handler: RecordingHandler) throws -> HTTP2Stream {
    _ = start(handler)
    exchange()
    return try #require(streams.first)
  }

  // MARK: - What the peer does

  static let okHeaders = StaticHeaders([(":status", "200"), ("content-type", "application/grpc")])
  static let okTrailers = StaticHeaders([("grpc-status", "0")])

  func respond(_ stream: HTTP2Stream, headers fields: [(String, String)] = []) {
    let block = HeaderBlock()
    block.append(":status", "200")
    block.append("content-type", "application/grpc")
    for (name, value) in fields { block.append(name, value) }
    session.submitResponse(stream, headers: block)
  }

  func send(_ stream: HTTP2Stream, _ message: [UInt8]) {
    message.withUnsafeBytes { MessageFrame.write($0, to: &stream.outbound) }
    session.bodyChanged(stream)
  }

  func finish(_ stream: HTTP2Stream, _ fields: [(String, String)] = [("grpc-status", "0")]) {
    let block = HeaderBlock()
    for (name, value) in fields { block.append(name, value) }
    session.finish(stream, trailers: block)
  }

  /// Replies with headers only.
  func reply(on stream: HTTP2Stream, only fields: [(String, String)]) {
    let block = HeaderBlock()
    for (name, value) in fields { block.append(name, value) }
    session.submitResponse(stream, headers: block, hasBody: false)
  }

  /// Messages that came on a stream so far, taken and credited.
  func take(_ stream: HTTP2Stream) throws -> [[UInt8]] {
    var found: [[UInt8]] = []
    let bytes = Array(stream.inbound.readableBytesView)
    let taken = try bytes.withUnsafeBytes { bytes in
      var rest = bytes
      while let message = try MessageFrame.next(in: &rest, limit: 1 << 30) {
        found.append(Array(message))
      }
      return bytes.count - rest.count
    }
    stream.inbound.moveReaderIndex(forwardBy: taken)
    session.consume(stream, stream.unconsumed)
    return found
  }

  /// The fields of a request.
  func fields(_ stream: HTTP2Stream) -> [(String, String)] {
    (0..<stream.headers.count).map {
      (
        String(decoding: stream.headers.name(at: $0), as: UTF8.self),
        String(decoding: stream.headers.value(at: $0), as: UTF8.self)
      )
    }
  }
}

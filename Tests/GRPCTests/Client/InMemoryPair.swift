// The client's connection and the server's handler joined in memory, on one loop with a clock that
// the test moves.

import HTTP2
import Logging
import NIOCore
import NIOEmbedded

@testable import GRPC

/// Client and server on one embedded loop.
final class InMemoryPair {
  let loop = EmbeddedEventLoop()
  let log = ServiceLog()
  let delegate = RecordingDelegate()
  let connection: ClientConnection
  let server: ServerLoop
  let clientChannel: EmbeddedChannel
  let serverChannel: EmbeddedChannel
  let handler: GRPCServerHandler

  init(
    client: ClientConfiguration = ClientConfiguration(),
    server configuration: ServerConfiguration = ServerConfiguration(),
    streams: HTTP2StreamPool = HTTP2StreamPool(streamsMax: HTTP2StreamPool.loopStreamsMax)
  ) throws {
    connection = try ClientConnection(
      eventLoop: loop, authority: "server", configuration: client, delegate: delegate)
    server = ServerLoop(
      eventLoop: loop, service: TestService(log: log), configuration: configuration,
      streams: streams, logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }))
    clientChannel = EmbeddedChannel(loop: loop)
    serverChannel = EmbeddedChannel(loop: loop)
    handler = try GRPCServerHandler(loop: server)
    try serverChannel.pipeline.syncOperations.addHandler(handler)
    try clientChannel.pipeline.syncOperations.addHandler(connection.makeHandler())
    let address = try SocketAddress(ipAddress: "127.0.0.1", port: 1)
    serverChannel.connect(to: address, promise: nil)
    clientChannel.connect(to: address, promise: nil)
    exchange()
  }

  /// Called with each round of `exchange`, before and after bytes were moved.
  var onRound: () -> Void = {}

  /// Moves bytes both ways until both are silent.
  func exchange() {
    for _ in 0..<10_000 {
      onRound()
      defer { onRound() }
      loop.run()
      let hasTurns = server.flusher.scheduler.hasTurns || connection.flusher.scheduler.hasTurns
      if hasTurns { loop.advanceTime(by: LoopScheduler.turnPause) }
      let moved = [
        hasTurns, move(clientChannel, serverChannel), move(serverChannel, clientChannel),
      ]
      // What a closed socket would do to the other end.
      if !serverChannel.isActive, clientChannel.isActive { clientChannel.close(promise: nil) }
      if !moved.contains(true) { return }
    }
  }

  private func move(_ from: EmbeddedChannel, _ to: EmbeddedChannel) -> Bool {
    var moved = false
    while let bytes = try? from.readOutbound(as: ByteBuffer.self) {
      moved = true
      _ = try? to.writeInbound(bytes)
    }
    return moved
  }

  func start(
    _ path: String, _ handler: RecordingHandler, timeout: TimeAmount? = nil
  ) -> ClientCall {
    connection.startCall(
      path: path, timeoutNanos: timeout.map { UInt64($0.nanoseconds) }, handler: handler)
  }
}

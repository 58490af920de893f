// A gRPC server's connection: the first two bytes say how what the client sends is split, the third
// whether time passes in between and whether the client closes its side. Everything on the way is
// the server's own: HTTP/2, the rules of gRPC, framing, gzip, metadata, deadlines, bounds. Nothing
// may trap, a message is never longer than the limit, what is written must be whole frames, and when
// the connection is gone nothing may be left of it.

import GRPC
import Logging
import NIOCore
import NIOEmbedded

extension FuzzReader {
  package static let calls = FuzzReader(
    name: "calls", seeds: HTTP2Seeds.heads([1, 40, 0], [6, 200, 3], before: HTTP2Seeds.requests),
    triesInTests: 150
  ) { input in
    guard input.count > 3 else { return }
    let rest = UnsafeRawBufferPointer(rebasing: input[3...])
    for pieces in [[rest]] + Splits.pieces(of: rest, seed: input[0], at: input[1]) {
      try ServedConnection().run(
        pieces, timePasses: input[2] & 1 == 1, closesSide: input[2] & 2 == 2)
    }
  }
}

private final class ServedConnection {
  private static let messageBytesMax = 1_000

  private let loop = EmbeddedEventLoop()
  private let connections = NodeConnections()
  private let service = EchoService(bytesMax: messageBytesMax)
  private let server: ServerLoop
  private let channel: EmbeddedChannel

  init() throws {
    var configuration = ServerConfiguration()
    configuration.maxMessageBytes = Self.messageBytesMax
    configuration.maxErrorResets = 20
    configuration.maxExcessResets = 20
    configuration.maxControlFrames = 100
    server = ServerLoop(
      eventLoop: loop, service: service, configuration: configuration, connections: connections,
      logger: .silent)
    channel = EmbeddedChannel(loop: loop)
    guard let place = connections.admit(nil) else { throw Finding("there is no place") }
    try channel.pipeline.syncOperations.addHandler(
      server.makeHandler(AcceptedConnection(place: place)))
    channel.connect(to: try SocketAddress(ipAddress: "127.0.0.1", port: 1), promise: nil)
  }

  func run(
    _ pieces: [UnsafeRawBufferPointer], timePasses: Bool, closesSide: Bool
  ) throws {
    for piece in pieces where channel.isActive {
      _ = try? channel.writeInbound(ByteBuffer(bytes: piece))
      if timePasses { loop.advanceTime(by: .milliseconds(700)) }
      try settle()
    }
    if closesSide, channel.isActive {
      channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
      try settle()
    }
    // (`finish` would take back what waits for its turn.)
    if channel.isActive { channel.close(promise: nil) }
    try settle()
    if let problem = service.problem { throw Finding(problem) }
    guard connections.open == 0, server.connectionCount == 0, server.clientBytes == 0 else {
      throw Finding("something is left when the connection is gone")
    }
  }

  /// Runs what is due, and takes what was written.
  private func settle() throws {
    repeat {
      loop.run()
      loop.advanceTime(by: .microseconds(20))
      var output = ByteBuffer()
      while var part = try? channel.readOutbound(as: ByteBuffer.self) { output.writeBuffer(&part) }
      try FrameCheck.areWhole(output)
    } while server.scheduler.hasTurns
  }
}

/// Sends each message back.
private final class EchoService: ServerService {
  private let bytesMax: Int
  private(set) var problem: String?

  init(bytesMax: Int) { self.bytesMax = bytesMax }

  func method(path: UnsafeRawBufferPointer) -> ServerMethod? {
    switch String(decoding: path, as: UTF8.self) {
    case HTTP2Seeds.unary: ServerMethod(id: 1, kind: .unary)
    case HTTP2Seeds.stream: ServerMethod(id: 2, kind: .streaming)
    default: nil
    }
  }

  func unary(_ call: ServerCall, message: UnsafeRawBufferPointer) {
    look(at: call, message)
    call.respond(message: message)
  }

  func streamOpened(_ call: ServerCall) {}

  func stream(_ call: ServerCall, received message: UnsafeRawBufferPointer) {
    look(at: call, message)
    call.send { $0.writeBytes(message) }
  }

  func streamHalfClosed(_ call: ServerCall) { call.finish(.ok) }
  func streamWritable(_ call: ServerCall) {}
  func callEnded(_ call: ServerCall, _ reason: CallEnd) {}

  private func look(at call: ServerCall, _ message: UnsafeRawBufferPointer) {
    if message.count > bytesMax { problem = "a message is longer than the limit" }
    if call.metadata.entries.count > 10_000 || (call.authorization?.count ?? 0) > 1 << 16 {
      problem = "metadata is longer than a header list may be"
    }
  }
}

extension Logger {
  static var silent: Logger { Logger(label: "fuzz") { _ in SwiftLogNoOpLogHandler() } }
}

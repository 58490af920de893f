// A server connection without a socket: the handler on an embedded channel, a client session as its
// peer, a scripted service, and a clock that the test moves.

import HTTP2
import Logging
import NIOCore
import NIOEmbedded

@testable import GRPC

/// A service that records its calls and does what the test says.
final class ScriptedService: ServerService {
  static let unaryPath = "/t/unary"
  static let streamPath = "/t/stream"
  static let adminPath = "/t/admin"

  var events: [String] = []
  var pages: [String: ServerPage] = [:]
  var lookUps = 0
  var onUnary: (ServerCall, [UInt8]) -> Void = { call, message in
    call.respond { $0.writeBytes(message) }
  }
  var onOpened: (ServerCall) -> Void = { _ in }
  var onMessage: (ServerCall, [UInt8]) -> Void = { _, _ in }
  var onHalfClosed: (ServerCall) -> Void = { $0.finish(.ok) }
  var onWritable: (ServerCall) -> Void = { _ in }
  var onEnded: (ServerCall) -> Void = { _ in }
  var refusal: RPCStatus?

  func refusal(of call: ServerCall) -> RPCStatus? { refusal }

  func method(path: UnsafeRawBufferPointer) -> ServerMethod? {
    lookUps += 1
    switch String(decoding: path, as: UTF8.self) {
    case Self.unaryPath: return ServerMethod(id: 1, kind: .unary)
    case Self.adminPath: return ServerMethod(id: 3, kind: .unary, isReserved: true)
    case Self.streamPath: return ServerMethod(id: 2, kind: .streaming)
    default: return nil
    }
  }

  func page(path: UnsafeRawBufferPointer) -> ServerPage? {
    pages[String(decoding: path, as: UTF8.self)]
  }

  func unary(_ call: ServerCall, message: UnsafeRawBufferPointer) {
    events.append("unary \(message.count)")
    onUnary(call, Array(message))
  }

  func streamOpened(_ call: ServerCall) {
    events.append("opened")
    onOpened(call)
  }

  func stream(_ call: ServerCall, received message: UnsafeRawBufferPointer) {
    events.append("message \(message.count)")
    onMessage(call, Array(message))
  }

  func streamHalfClosed(_ call: ServerCall) {
    events.append("half-closed")
    onHalfClosed(call)
  }

  func streamWritable(_ call: ServerCall) {
    events.append("writable")
    onWritable(call)
  }

  func callEnded(_ call: ServerCall, _ reason: CallEnd) {
    events.append("ended \(reason)")
    onEnded(call)
  }
}

/// What the client saw of one call.
struct SeenCall {
  var httpStatus: Int?
  var fields: [String: String] = [:]
  var trailers: [String: String] = [:]
  var body: [UInt8] = []
  var bodyBytes = 0
  var isTrailersOnly = false
  var closeCode: HTTP2ErrorCode?

  /// `grpc-status`, at any position.
  var status: String? { trailers["grpc-status"] ?? fields["grpc-status"] }
  var message: String? { trailers["grpc-message"] ?? fields["grpc-message"] }
}

/// Counts reads that reach the channel.
final class ReadCounter: ChannelOutboundHandler {
  typealias OutboundIn = ByteBuffer
  var reads = 0

  func read(context: ChannelHandlerContext) {
    reads += 1
    context.read()
  }
}

final class ServerHarness {
  let eventLoop: EmbeddedEventLoop
  let channel: EmbeddedChannel
  let client: HTTP2Session
  let service: ScriptedService
  let loop: ServerLoop
  let handler: GRPCServerHandler
  let reads = ReadCounter()
  var seen: [Int32: SeenCall] = [:]
  var clientEvents: [HTTP2ConnectionEvent] = []
  /// Whether the client gives window for what it received.
  var clientConsumes = true
  /// Whether bodies are kept; else only their bytes are counted.
  var keepsBodies = true
  /// The size of each write of the server.
  var writtenBytes: [Int] = []

  /// - Parameters:
  ///   - limits: on connections; nil: the connection takes no place.
  ///   - chance: in the place of the loop's own.
  ///   - first: a connection whose loop and service this one shares.
  init(
    _ configuration: ServerConfiguration = ServerConfiguration(),
    client clientConfiguration: HTTP2Configuration = HTTP2Configuration(),
    limits: ConnectionLimits? = nil, chance: (() -> UInt64)? = nil,
    sharing first: ServerHarness? = nil
  ) throws {
    eventLoop = first?.eventLoop ?? EmbeddedEventLoop()
    service = first?.service ?? ScriptedService()
    loop =
      first?.loop
      ?? ServerLoop(
        eventLoop: eventLoop, service: service, configuration: configuration,
        connections: NodeConnections(limits: limits ?? ConnectionLimits()),
        logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    if let chance { loop.chance = chance }
    handler = try GRPCServerHandler(
      loop: loop, place: limits == nil ? nil : loop.connections.admit(nil))
    channel = EmbeddedChannel(loop: eventLoop)
    try channel.pipeline.syncOperations.addHandlers([reads, handler])
    client = try HTTP2Session(role: .client, configuration: clientConfiguration)
    try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
  }

  deinit {
    _ = try? channel.finish(acceptAlreadyClosed: true)
  }

  /// Moves bytes both ways until both sides are silent.
  func pump() throws {
    while try step() {}
  }

  /// One read and one turn of the server, and what it wrote. Returns whether anything happened.
  func step() throws -> Bool {
    var isBusy = false
    var toServer = ByteBuffer()
    client.writePending(into: &toServer, limit: 64 << 10)
    drainClient()
    if toServer.readableBytes > 0, channel.isActive {
      isBusy = true
      try channel.writeInbound(toServer)
    }
    eventLoop.run()
    if loop.flusher.scheduler.hasTurns {
      isBusy = true
      eventLoop.advanceTime(by: LoopScheduler.turnPause)
    }
    while let toClient = try channel.readOutbound(as: ByteBuffer.self) {
      isBusy = true
      writtenBytes.append(toClient.readableBytes)
      toClient.withUnsafeReadableBytes { client.receive($0) }
      drainClient()
    }
    return isBusy
  }

  private func drainClient() {
    client.forEachTouchedStream { stream in
      // Taken out, or its body would be copied at each change.
      var call = seen.removeValue(forKey: stream.id) ?? SeenCall()
      if stream.headersReceived {
        call.httpStatus = stream.headers.status
        call.fields = Self.dictionary(stream.headers)
      }
      call.bodyBytes += stream.inbound.readableBytes
      if keepsBodies { call.body += Array(stream.inbound.readableBytesView) }
      stream.inbound.clear()
      if clientConsumes { client.consume(stream, .max) }
      if stream.trailersReceived { call.trailers = Self.dictionary(stream.trailers) }
      call.isTrailersOnly = stream.headersReceived && stream.remoteEnded && !stream.trailersReceived
      if stream.isClosed { call.closeCode = stream.closeCode }
      seen[stream.id] = call
      if stream.isClosed { client.recycle(stream) }
    }
    while let event = client.nextConnectionEvent() { clientEvents.append(event) }
  }

  private static func dictionary(_ block: HeaderBlock) -> [String: String] {
    var result: [String: String] = [:]
    for index in 0..<block.count {
      result[String(decoding: block.name(at: index), as: UTF8.self)] =
        String(decoding: block.value(at: index), as: UTF8.self)
    }
    return result
  }

  // MARK: - What a client does

  /// Opens a call. `fields` replace or add to the usual ones.
  func open(_ path: String, _ fields: [String: String] = [:]) -> HTTP2Stream? {
    var all = [
      ":method": "POST", ":scheme": "http", ":path": path, ":authority": "test",
      "content-type": "application/grpc", "te": "trailers",
    ]
    all.merge(fields) { $1 }
    let block = HeaderBlock()
    for (name, value) in all.sorted(by: { $0.key < $1.key }) where !value.isEmpty {
      block.append(name, value)
    }
    return client.submitRequest(block)
  }

  /// Sends a unary call with these raw body bytes and the end.
  @discardableResult
  func call(
    _ path: String = ScriptedService.unaryPath, _ fields: [String: String] = [:], body: [UInt8]
  ) throws -> SeenCall {
    guard let stream = open(path, fields) else { return SeenCall() }
    let id = stream.id
    send(stream, body, isLast: true)
    try pump()
    return seen[id] ?? SeenCall()
  }

  func send(_ stream: HTTP2Stream, _ bytes: [UInt8], isLast: Bool = false) {
    stream.outbound.writeBytes(bytes)
    client.bodyChanged(stream)
    if isLast { client.finish(stream) }
  }

  /// A message behind its prefix.
  static func frame(_ message: [UInt8]) -> [UInt8] {
    var buffer = ByteBuffer()
    message.withUnsafeBytes { MessageFrame.write($0, to: &buffer) }
    return Array(buffer.readableBytesView)
  }
}

// A node that does what a test says, behind a relay: real HTTP/2 and real sockets, and every reply
// is the test's. Scripts run on the node's event loop.

import Commands
import GRPC
import Logging
import NIOCore
import NIOPosix
import RingstoreAPI
import RingstoreClient

/// What a scripted node does with the calls it gets.
struct NodeScript: Sendable {
  /// The reply to a unary call; an empty message says "nothing there" in every reply. nil: none.
  var unary: @Sendable (CommandID, [UInt8]) -> Result<[UInt8], RPCStatus>? = { _, _ in .success([])
  }
  /// Gets each message of a streaming call.
  var streamed: @Sendable (ScriptedStream, [UInt8]) -> Void = { stream, _ in stream.finish() }
  /// The client sends no more on a streaming call.
  var halfClosed: @Sendable (ScriptedStream) -> Void = { _ in }
  /// The client has ended a streaming call, or its connection is gone.
  var ended: @Sendable (ScriptedStream) -> Void = { _ in }
}

/// One streaming call, on the node's event loop.
final class ScriptedStream {
  private let call: ServerCall
  let id: CommandID
  /// Called when the client takes more.
  var writable: (() -> Void)?

  init(_ call: ServerCall, _ id: CommandID) {
    self.call = call
    self.id = id
  }

  var isWritable: Bool { call.isWritable }

  func send(_ message: ByteBuffer) { call.send { $0.writeImmutableBuffer(message) } }

  func finish(_ status: RPCStatus = .ok) { call.finish(status) }
}

enum ScriptedNode {
  /// Runs `body` with a client of a node that follows the script.
  static func with(
    _ script: NodeScript, _ configuration: RingstoreClient.Configuration = .patient,
    _ body: (RingstoreClient, Relay) async throws -> Void
  ) async throws {
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let logger = Logger(label: "scripted") { _ in SwiftLogNoOpLogHandler() }
    let server = try await GRPCServer.start(
      host: "127.0.0.1", port: 0, group: group, configuration: ServerConfiguration().patient,
      logger: logger
    ) { _ in ScriptedService(script) }
    let relay = try await Relay.start(to: server.port)
    let client = RingstoreClient(host: "127.0.0.1", port: relay.port, configuration: configuration)
    var failure: (any Error)?
    do {
      try await body(client, relay)
    } catch {
      failure = error
    }
    client.close()
    await relay.close()
    await server.drain(gracePeriod: .zero)
    try await group.shutdownGracefully()
    if let failure { throw failure }
  }
}

private final class ScriptedService: ServerService {
  private let script: NodeScript

  init(_ script: NodeScript) { self.script = script }

  func method(path: UnsafeRawBufferPointer) -> ServerMethod? {
    CommandTable.command(path: path).map {
      ServerMethod(id: $0.id.rawValue, kind: $0.isStreaming ? .streaming : .unary)
    }
  }

  func unary(_ call: ServerCall, message: UnsafeRawBufferPointer) {
    guard let id = CommandID(rawValue: call.methodID) else { return }
    switch script.unary(id, Array(message)) {
    case .success(let response): call.respond { $0.writeBytes(response) }
    case .failure(let status): call.fail(status)
    case nil: break
    }
  }

  func streamOpened(_ call: ServerCall) {
    guard let id = CommandID(rawValue: call.methodID) else { return }
    call.context = ScriptedStream(call, id)
  }

  func stream(_ call: ServerCall, received message: UnsafeRawBufferPointer) {
    if let stream = call.context as? ScriptedStream { script.streamed(stream, Array(message)) }
  }

  func streamHalfClosed(_ call: ServerCall) {
    if let stream = call.context as? ScriptedStream { script.halfClosed(stream) }
  }

  func streamWritable(_ call: ServerCall) {
    (call.context as? ScriptedStream)?.writable?()
  }

  func callEnded(_ call: ServerCall, _ reason: CallEnd) {
    if let stream = call.context as? ScriptedStream { script.ended(stream) }
  }
}

extension ServerConfiguration {
  /// Of a server whose machine may be busy with other tests: it ends no client for being slow.
  fileprivate var patient: Self {
    var configuration = self
    configuration.progressTimeoutNanos = 3_600 * 1_000_000_000
    configuration.handshakeTimeoutNanos = 3_600 * 1_000_000_000
    return configuration
  }
}

// A gRPC server with nothing but the legacy services, over a port that replies as a test says, and
// a client for it.

import Commands
import GRPC
import LegacyServices
import Logging
import NIOCore
import NIOPosix
import NodeCore
import RingstoreAPI
import Testing

/// Replies at once with what stands for the command in the script, or never.
final class ScriptedPort: LocalDispatcher {
  let limits = Limits()
  let replyMemory = MemoryBudget(bytesMax: Limits().replyMemoryBytesMax)
  var script: [CommandID: Result<ByteBuffer, CallError>] = [:]
  var calls: [CommandID] = []
  var deadlines: [UInt64?] = []
  var errors = 0
  let begun: EventLoopPromise<Void>
  let cancelled: EventLoopPromise<Void>

  init(_ loop: any EventLoop) {
    begun = loop.makePromise()
    cancelled = loop.makePromise()
  }

  func call(
    _ request: any KeyedCall, _ context: CallContext, for caller: (any LocalCaller)?,
    reply: @escaping LocalReply
  ) -> LocalCall? {
    calls.append(request.command.id)
    deadlines.append(context.hasDeadline ? context.deadlineNanos : nil)
    let call = LocalCall(request.command, for: caller, reply: reply)
    begun.succeed()
    switch script[request.command.id] {
    case .success(let response): call.respond(response)
    case .failure(let error): call.end(.failure(error))
    case nil: return call
    }
    return nil
  }

  func call(
    _ command: Command, request: ByteBuffer, _ context: CallContext,
    for caller: (any LocalCaller)?, reply: @escaping LocalReply
  ) -> LocalCall? {
    Issue.record("the legacy services make calls on one key")
    return nil
  }

  func cancel(_ call: LocalCall) {
    call.drop()
    cancelled.succeed()
  }

  func endWait(_ call: LocalCall) {}
  func countError(_ error: CallError) { errors += 1 }
  func callerTakesMore(_ call: LocalCall) {}
}

/// A node's dispatch with the legacy services alone.
private final class LegacyService: ServerService {
  let port: ScriptedPort

  init(_ port: ScriptedPort) {
    self.port = port
  }

  func method(path: UnsafeRawBufferPointer) -> ServerMethod? {
    LegacyMethod.method(path: path).map { ServerMethod(id: $0.rawValue, kind: .unary) }
  }

  func unary(_ call: ServerCall, message: UnsafeRawBufferPointer) {
    LegacyCall.start(call, message: message, on: port)
  }

  func streamWritable(_ call: ServerCall) {
    (call.context as? LegacyCall)?.writable()
  }

  func callEnded(_ call: ServerCall, _ reason: CallEnd) {
    (call.context as? LegacyCall)?.ended()
  }

  func streamOpened(_ call: ServerCall) {}
  func stream(_ call: ServerCall, received message: UnsafeRawBufferPointer) {}
  func streamHalfClosed(_ call: ServerCall) {}
}

struct LegacyNode: Sendable {
  let loop: any EventLoop
  private let port: NIOLoopBound<ScriptedPort>
  private let channel: ClientChannel

  static func with(_ body: (LegacyNode) async throws -> Void) async throws {
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let loop = group.next()
    let port = try await loop.submit { NIOLoopBound(ScriptedPort(loop), eventLoop: loop) }.get()
    let server = try await GRPCServer.start(
      host: "127.0.0.1", port: 0, group: group, configuration: ServerConfiguration(),
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    ) { _ in LegacyService(port.value) }
    let channel = ClientChannel(
      host: "127.0.0.1", port: server.port,
      eventLoop: MultiThreadedEventLoopGroup.singleton.any())
    let outcome: Result<Void, any Error>
    do {
      outcome = .success(try await body(LegacyNode(loop: loop, port: port, channel: channel)))
    } catch {
      outcome = .failure(error)
    }
    channel.close()
    await server.drain(gracePeriod: .seconds(1))
    // Promises without a result.
    try await loop.submit {
      port.value.begun.succeed()
      port.value.cancelled.succeed()
    }.get()
    try await group.shutdownGracefully()
    try outcome.get()
  }

  /// The status of a call that failed; nil if it succeeded.
  func failure(
    _ path: String, _ request: ByteBuffer, timeout: TimeAmount = .minutes(10)
  ) async -> RPCStatus? {
    do throws(RPCStatus) {
      _ = try await channel.unary(path: path, timeout: timeout) { $0.writeImmutableBuffer(request) }
      return nil
    } catch {
      return error
    }
  }

  func onLoop<Value: Sendable>(
    _ body: @escaping @Sendable (ScriptedPort) -> Value
  ) async throws -> Value {
    try await loop.submit { body(port.value) }.get()
  }

  func script(_ script: [CommandID: Result<ByteBuffer, CallError>]) async throws {
    try await onLoop { $0.script = script }
  }

  func calls() async throws -> [CommandID] { try await onLoop(\.calls) }
  func errors() async throws -> Int { try await onLoop(\.errors) }

  /// A call has reached the port.
  func began() async throws {
    try await loop.flatSubmit { port.value.begun.futureResult }.get()
  }

  /// A call was taken back.
  func cancelled() async throws {
    try await loop.flatSubmit { port.value.cancelled.futureResult }.get()
  }
}

// A shard with sockets whose gate the test opens, and clients that say whether they have their
// replies.

import Commands
import EncodedCalls
import GRPC
import Logging
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import NodeCore
import RingstoreAPI
import SwiftProtobuf

@testable import ShardNode

final class GatedShard: Sendable {
  let server: ShardServer
  private let marks: NIOLoopBound<HandMarks>
  private let channel: ClientChannel
  private let isDrained = NIOLockedValueBox(false)

  private init(_ server: ShardServer, _ marks: NIOLoopBound<HandMarks>) {
    self.server = server
    self.marks = marks
    channel = Self.client(of: server)
  }

  static func client(of server: ShardServer) -> ClientChannel {
    var configuration = ClientChannelConfiguration()
    configuration.connection.maxMessageBytes = 64 << 20
    configuration.connection.connectTimeout = .minutes(10)
    return ClientChannel(
      host: "127.0.0.1", port: server.port, eventLoop: MultiThreadedEventLoopGroup.singleton.any(),
      configuration: configuration)
  }

  static func start(drainSeconds: Int) async throws -> GatedShard {
    let marks = NIOLockedValueBox<NIOLoopBound<HandMarks>?>(nil)
    var configuration = ShardConfiguration(id: "a")
    (configuration.port, configuration.linePort) = (0, 0)
    configuration.drainSeconds = drainSeconds
    configuration.marks = { gate, loop in
      let made = HandMarks(gate)
      marks.withLockedValue { $0 = NIOLoopBound(made, eventLoop: loop) }
      return made
    }
    let server = try await ShardServer.start(
      configuration, version: "1", logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    guard let marks = marks.withLockedValue({ $0 }) else {
      throw CallError.internalError("no marks")
    }
    return GatedShard(server, marks)
  }

  /// Runs a body with a shard, and stops it however the body ends.
  static func with(
    drainSeconds: Int = 10, _ body: (GatedShard) async throws -> Void
  ) async throws {
    let shard = try await start(drainSeconds: drainSeconds)
    do {
      try await body(shard)
    } catch {
      await shard.stop()
      throw error
    }
    await shard.stop()
  }

  func stop() async {
    channel.close()
    await drain()
  }

  /// Does nothing the second time.
  func drain() async {
    let isFirst = isDrained.withLockedValue { isDrained in
      defer { isDrained = true }
      return !isDrained
    }
    if isFirst { await server.drain() }
  }

  // MARK: - Calls

  func call<Response: Message>(
    _ id: CommandID, _ request: some Message, as: Response.Type
  ) async throws -> Response {
    try Response(serializedBytes: try await begin(id, request).bytes)
  }

  func begin(_ id: CommandID, _ request: some Message, timeout: TimeAmount? = nil) -> Pending {
    begin(path: CommandTable.command(id)?.rpc.path ?? "", request, timeout: timeout)
  }

  func begin(path: String, _ request: some Message, timeout: TimeAmount? = nil) -> Pending {
    Pending(channel, path: path, (try? request.serializedBytes()) ?? [], timeout: timeout)
  }

  func beginStream(_ id: CommandID, _ request: some Message) -> PendingStream {
    PendingStream(
      channel, path: CommandTable.command(id)?.rpc.path ?? "",
      (try? request.serializedBytes()) ?? [])
  }

  // MARK: - The shard's loop

  func inLoop<Value: Sendable>(
    _ body: @escaping @Sendable (ShardService) -> Value
  ) async throws -> Value {
    let service = server.service
    return try await marks.eventLoop.submit { body(service.value) }.get()
  }

  /// Everything executed is committed.
  func commit() async throws {
    let marks = self.marks
    try await marks.eventLoop.submit { marks.value.commit() }.get()
  }

  /// The batches up to one are committed. What is executed from now on belongs to a later one.
  func commit(upTo batch: UInt64) async throws {
    let marks = self.marks
    try await marks.eventLoop.submit { marks.value.commit(batch) }.get()
  }

  /// What is executed from now on belongs to another batch.
  func nextBatch() async throws {
    let marks = self.marks
    try await marks.eventLoop.submit { marks.value.nextBatch() }.get()
  }

  /// Waits until so many keys have been given marks since the start.
  func executed(_ count: Int) async throws {
    let marks = self.marks
    try await marks.eventLoop.flatSubmit {
      let promise = marks.eventLoop.makePromise(of: Void.self)
      func look() {
        guard marks.value.given.count >= count else { return }
        marks.value.whenExecuted = nil
        promise.succeed()
      }
      marks.value.whenExecuted = look
      look()
      return promise.futureResult
    }.get()
    // The calls of this event have their replies, or are held, at its end.
    try await marks.eventLoop.submit {}.get()
  }

  /// Waits until nothing is held any more.
  func emptied() async throws {
    while try await !inLoop({ $0.core.gate.isEmpty }) { await Task.yield() }
  }

  /// Waits until the shard has begun to drain.
  func draining() async throws {
    while try await inLoop({ $0.core.state }) != .draining { await Task.yield() }
  }
}

/// A unary call in progress.
final class Pending: Sendable {
  private let task: Task<ByteBuffer, any Error>
  private let done = NIOLockedValueBox(false)

  init(
    _ channel: ClientChannel, path: String, _ request: [UInt8], timeout: TimeAmount? = nil
  ) {
    let done = self.done
    task = Task {
      defer { done.withLockedValue { $0 = true } }
      return try await channel.unary(path: path, timeout: timeout ?? .minutes(5)) {
        $0.writeBytes(request)
      }
    }
  }

  var isDone: Bool { done.withLockedValue { $0 } }

  var bytes: [UInt8] {
    get async throws { Array(try await task.value.readableBytesView) }
  }

  /// What it failed with; nil: it has not.
  var failure: RPCStatus? {
    get async {
      do {
        _ = try await task.value
        return nil
      } catch {
        return error as? RPCStatus
      }
    }
  }
}

/// A call in progress with one request and a row of replies.
final class PendingStream: Sendable {
  private let task: Task<[[UInt8]], any Error>
  private let seen = NIOLockedValueBox<(messages: [[UInt8]], isDone: Bool)>(([], false))

  init(_ channel: ClientChannel, path: String, _ request: [UInt8]) {
    let seen = self.seen
    task = Task {
      defer { seen.withLockedValue { $0.isDone = true } }
      let stream = try await channel.serverStreaming(path: path, timeout: .minutes(5)) {
        $0.writeBytes(request)
      }
      for try await message in stream {
        seen.withLockedValue { $0.messages.append(Array(message.readableBytesView)) }
      }
      return seen.withLockedValue { $0.messages }
    }
  }

  var isDone: Bool { seen.withLockedValue { $0.isDone } }

  var messages: [[UInt8]] {
    get async throws { try await task.value }
  }

  /// Waits until so many messages have come, or the call has ended.
  func firstMessages(_ count: Int) async throws -> [[UInt8]] {
    while true {
      let seen = self.seen.withLockedValue { $0 }
      if seen.isDone || seen.messages.count >= count { return seen.messages }
      await Task.yield()
    }
  }
}

/// What calls made on a shard's loop have led to.
final class Outcomes: Sendable {
  private let seen = NIOLockedValueBox<[String]>([])
  private let made = NIOLockedValueBox(0)
  private let lastMade: NIOLockedValueBox<EventLoopFuture<Void>>

  init(on loop: any EventLoop) {
    lastMade = NIOLockedValueBox(loop.makeSucceededVoidFuture())
  }

  var value: [String] { seen.withLockedValue { $0 } }

  /// The end of the call that was made last.
  var last: EventLoopFuture<Void> { lastMade.withLockedValue { $0 } }

  func call(
    _ service: ShardService, _ id: CommandID, _ request: some Message, until: UInt64? = nil
  ) {
    let number = made.withLockedValue { count in
      defer { count += 1 }
      return count
    }
    let promise = service.eventLoop.makePromise(of: Void.self)
    lastMade.withLockedValue { $0 = promise.futureResult }
    service.front.call(id, request, until: until) { [seen] outcome in
      seen.withLockedValue { $0.append("\(number): \(outcome.error?.code.name ?? "OK")") }
      promise.succeed()
    }
  }
}

extension CallError {
  init(_ status: RPCStatus) {
    self.init(code: status.code, message: status.message, details: status.details)
  }
}

typealias Outcome = Result<ByteBuffer, CallError>

extension Outcome {
  var error: CallError? {
    if case .failure(let error) = self { error } else { nil }
  }
}

extension LocalDispatcher {
  @discardableResult
  func call(
    _ id: CommandID, _ request: some Message, until deadlineNanos: UInt64? = nil,
    reply: @escaping (Outcome) -> Void
  ) -> LocalCall? {
    guard let command = CommandTable.command(id) else { return nil }
    return call(
      command, encoded: (try? request.serializedBytes()) ?? [],
      CallContext(deadlineNanos: deadlineNanos), for: nil, reply: reply)
  }
}

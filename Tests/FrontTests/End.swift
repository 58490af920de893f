// The two kinds of node that a front can stand before, each served as a process would.

import Commands
import EncodedCalls
import Logging
import NIOCore
import NodeCore
import Placement
import ProtobufMessages
import RingstoreAPI
import SwiftProtobuf

@testable import Front
@testable import RouterNode
@testable import ShardNode

enum End: CaseIterable, Sendable {
  case router, shard

  /// Starts a node of this kind (a router with two shards) and ends it after `body`.
  func serve(
    threads: Int = 1, limits: Limits = Limits(), linkLimits: LinkLimits = LinkLimits(),
    _ body: (ServedNode) async throws -> Void
  ) async throws {
    switch self {
    case .router: try await serveRouter(threads, limits, linkLimits, body)
    case .shard: try await Self.withShards(["a"], limits) { try await body($0[0].node) }
    }
  }

  private func serveRouter(
    _ threads: Int, _ limits: Limits, _ linkLimits: LinkLimits,
    _ body: (ServedNode) async throws -> Void
  ) async throws {
    try await Self.withShards(["a", "b"], limits) { shards in
      let descriptions = zip(["a", "b"], shards).map {
        ShardDescription(id: $0, address: "127.0.0.1:\($1.port)", weight: 1)
      }
      var configuration = RouterConfiguration(shards: descriptions)
      (configuration.port, configuration.drainSeconds) = (0, 1)
      (configuration.threads, configuration.linkLimits) = (threads, linkLimits)
      // On a busy machine a shard gets no core for seconds, and is not lost for it.
      configuration.linkLimits.silenceNanosMax = 600 * 1_000_000_000
      configuration.limits = limits
      let router = try await RouterServer.start(configuration, version: "1", logger: silent)
      let node = ServedNode(
        fronts: try await router.services.asyncMap { service in
          try await service.eventLoop.submit {
            NIOLoopBound(service.value.front, eventLoop: service.eventLoop)
          }.get()
        })
      let outcome: Result<Void, any Error>
      do {
        // A router starts even where its shards can't be reached in time, as on a busy machine.
        for loop in 0..<threads {
          while await node.call(.dbSize, Ringstore_V1_DbSizeRequest(), loop: loop).error != nil {
            try await Task.sleep(for: .milliseconds(5))
          }
        }
        outcome = .success(try await body(node))
      } catch {
        outcome = .failure(error)
      }
      await router.drain()
      try outcome.get()
    }
  }

  private static func withShards(
    _ ids: [String], _ limits: Limits, _ body: ([ShardServer]) async throws -> Void
  ) async throws {
    var shards: [ShardServer] = []
    for id in ids {
      var configuration = ShardConfiguration(id: id)
      configuration.limits = limits
      (configuration.port, configuration.drainSeconds) = (0, 1)
      shards.append(
        try await ShardServer.start(configuration, version: "1", logger: silent))
    }
    let outcome: Result<Void, any Error>
    do {
      outcome = .success(try await body(shards))
    } catch {
      outcome = .failure(error)
    }
    for shard in shards { await shard.drain() }
    try outcome.get()
  }
}

private let silent = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

extension ShardServer {
  fileprivate var node: ServedNode {
    get async throws {
      let service = self.service
      return ServedNode(
        fronts: [
          try await service.eventLoop.submit {
            NIOLoopBound(service.value.front, eventLoop: service.eventLoop)
          }.get()
        ])
    }
  }
}

extension Array {
  fileprivate func asyncMap<Value>(
    _ transform: (Element) async throws -> Value
  ) async rethrows -> [Value] {
    var values: [Value] = []
    for element in self { values.append(try await transform(element)) }
    return values
  }
}

/// A node that serves, by the fronts of its loops.
struct ServedNode: Sendable {
  let fronts: [NIOLoopBound<Front>]

  /// Runs `body` on one of the node's loops.
  func onLoop<Value: Sendable>(
    _ loop: Int = 0,
    _ body: @escaping @Sendable (Front, any EventLoop) throws -> EventLoopFuture<Value>
  ) async throws -> Value {
    let front = fronts[loop]
    return try await front.eventLoop.flatSubmit {
      do {
        return try body(front.value, front.eventLoop)
      } catch {
        return front.eventLoop.makeFailedFuture(error)
      }
    }.get()
  }

  func call(
    _ command: CommandID, _ request: any Message, until deadlineNanos: UInt64? = nil,
    loop: Int = 0
  ) async -> Outcome {
    do {
      return try await onLoop(loop) { front, loop in
        let promise = loop.makePromise(of: Outcome.self)
        front.call(command, request, until: deadlineNanos) { promise.succeed($0) }
        return promise.futureResult
      }
    } catch {
      return .failure(.internalError("\(error)"))
    }
  }

  func response<Response: Message>(
    _ command: CommandID, _ request: some Message
  ) async throws -> Response {
    try Response(serializedBytes: try await call(command, request).get().array)
  }
}

typealias Outcome = Result<ByteBuffer, CallError>

extension Outcome {
  var bytes: [UInt8] { (try? get().array) ?? [] }

  var error: CallError? {
    if case .failure(let error) = self { error } else { nil }
  }
}

extension ByteBuffer {
  var array: [UInt8] { Array(readableBytesView) }
}

extension LocalDispatcher {
  @discardableResult
  func call(
    _ id: CommandID, _ request: any Message, until deadlineNanos: UInt64? = nil,
    for caller: (any LocalCaller)? = nil,
    reply: @escaping (Outcome) -> Void
  ) -> LocalCall? {
    guard let command = CommandTable.command(id) else { return nil }
    return call(
      command, encoded: (try? request.serializedBytes()) ?? [],
      CallContext(deadlineNanos: deadlineNanos), for: caller, reply: reply)
  }
}

/// A caller that waits when it is asked to, and takes large replies or not.
final class Caller: LocalCaller {
  var pauses = 0
  var resumes = 0
  var isFull = false
  var expected = 0
  /// How often room was asked for after the reply had been.
  var questionsTooLate = 0
  var whenRefused: (() -> Void)?

  func pauseReading() { pauses += 1 }
  func resumeReading() { resumes += 1 }

  func takesLargeReply(of call: LocalCall) -> Bool {
    if expected > 0 { questionsTooLate += 1 }
    if isFull { whenRefused?() }
    return !isFull
  }

  func expectsLargeReply(of call: LocalCall, byteCount: Int) { expected += byteCount }
}

enum Requests {
  static func key(_ key: String) -> Ringstore_V1_Key {
    .with { $0.key = .init(key.utf8) }
  }

  static func set(_ key: String, _ value: String) -> Ringstore_V1_KeyValue {
    .with { ($0.key, $0.value) = (.init(key.utf8), .init(value.utf8)) }
  }

  static func range(_ key: String, _ start: Int64, _ stop: Int64) -> Ringstore_V1_ListRange {
    .with { ($0.key, $0.start, $0.stop) = (.init(key.utf8), start, stop) }
  }

  static func push(_ key: String, _ values: [String]) -> Ringstore_V1_ListInsert {
    .with { ($0.key, $0.values) = (.init(key.utf8), values.map { .init($0.utf8) }) }
  }
}

// Calls made on a router's loop from within: the same answers as a client gets, over real links to
// shards of the same process.

import Commands
import GRPC
import Logging
import NIOCore
import NodeCore
import Placement
import ProtobufMessages
import RingstoreAPI
import ShardNode
import SwiftProtobuf
import Testing

@testable import RouterNode

@Suite("A router's port for calls from within", .serialized)
struct RouterCallPortTests {
  @Test func callsOnKeysReachTheirShards() async throws {
    try await withRouter { router in
      for key in (0..<50).map({ "key:\($0)" }) {
        _ = try await router.call(.set, Requests.set(key, key)).get()
        let value: Ringstore_V1_Value = try await router.response(.get, Requests.key(key))
        #expect(value.found && value.value == .init(key.utf8))
      }
    }
  }

  @Test func callsOnOneKeyRunInTheOrderMade() async throws {
    try await withRouter { router in
      let outcomes = try await router.onLoop { port, loop in
        let replies = (1...500).map { number in
          let promise = loop.makePromise(of: Outcome.self)
          port.call(.rPush, Requests.push("list", ["\(number)"])) { promise.succeed($0) }
          return promise.futureResult
        }
        return EventLoopFuture.whenAllSucceed(replies, on: loop)
      }
      let lengths = try outcomes.map {
        try Ringstore_V1_Status(serializedBytes: Array(try $0.get().readableBytesView)).count
      }
      #expect(lengths == Array(1...500))
    }
  }

  @Test func aLargeReplyComesWhole() async throws {
    try await withRouter { router in
      let text = String(repeating: "0123456789", count: 300_000)
      _ = try await router.call(.set, Requests.set("k", text)).get()
      let value: Ringstore_V1_Value = try await router.response(.get, Requests.key("k"))
      #expect(value.found && value.value.elementsEqual(text.utf8))
    }
  }

  @Test func callsMadeOfPartsAreMerged() async throws {
    try await withRouter { router in
      for key in ["a", "b", "c", "d"] {
        _ = try await router.call(.set, Requests.set(key, key)).get()
      }
      let size: Ringstore_V1_DbSizeResponse = try await router.response(
        .dbSize, Ringstore_V1_DbSizeRequest())
      #expect(size.keys == 4)
      let node: Ringstore_V1_DescribeResponse = try await router.response(
        .describe, Ringstore_V1_DescribeRequest())
      #expect(node.nodes.count == 3)
    }
  }

  @Test(arguments: [1, 2]) func statsCountTheCallsOfAllLoops(threads: Int) async throws {
    try await withRouter(threads: threads) { router in
      let before: Ringstore_V1_StatsResponse = try await router.response(
        .stats, Ringstore_V1_StatsRequest())
      for loop in 0..<threads {
        _ = try await router.call(.get, Requests.key("k"), loop: loop).get()
      }
      let error = await router.call(.get, Requests.key("")).error
      #expect(error?.reason == .invalidKey)
      let stats: Ringstore_V1_StatsResponse = try await router.response(
        .stats, Ringstore_V1_StatsRequest())
      #expect(stats.counters["ringstore_router_calls_get_total"] == Int64(threads) + 1)
      let errors = "ringstore_router_errors_total"
      #expect(stats.counters[errors, default: 0] == before.counters[errors, default: 0] + 1)
      #expect(stats.counters["ringstore_router_calls_stats_total"] == 2)
    }
  }

  @Test func streamingCallsAndCallsTooLateAreRefused() async throws {
    try await withRouter { router in
      for command in CommandTable.all where command.isStreaming {
        let outcome = await router.call(command.id, Ringstore_V1_ScanRequest())
        #expect(outcome.error?.code == .unimplemented, "\(command.name)")
      }
      let late = await router.call(.get, Requests.key("k"), until: 1)
      #expect(late.error?.code == .deadlineExceeded)
    }
  }

  @Test func aCancelledCallIsNotAnswered() async throws {
    try await withRouter { router in
      let size = try await router.onLoop { port, loop in
        let calls = [
          port.call(.set, Requests.set("k", "v")) { _ in Issue.record("it was cancelled") },
          port.call(.keys, Ringstore_V1_KeysRequest()) { _ in Issue.record("it was cancelled") },
        ]
        #expect(calls.allSatisfy { $0?.isOver == false })
        for call in calls.compactMap({ $0 }) { port.cancel(call) }
        let promise = loop.makePromise(of: Outcome.self)
        port.call(.dbSize, Ringstore_V1_DbSizeRequest()) { promise.succeed($0) }
        return promise.futureResult
      }
      // It may have been carried out or not; it is over.
      #expect(size.error == nil)
    }
  }

  @Test func aCallerIsAskedToWaitAsOftenAsItIsToldToGoOn() async throws {
    var limits = LinkLimits()
    limits.callsInFlightMax = 1
    try await withRouter(linkLimits: limits) { router in
      let caller = try await router.onLoop { _, loop in
        loop.makeSucceededFuture(NIOLoopBound(Caller(), eventLoop: loop))
      }
      let outcomes = try await router.onLoop { port, loop in
        let replies = (0..<40).map { _ in
          let promise = loop.makePromise(of: Outcome.self)
          port.call(.get, Requests.key("k"), for: caller.value) { promise.succeed($0) }
          return promise.futureResult
        }
        #expect(caller.value.pauses > 0 && caller.value.resumes == 0)
        return EventLoopFuture.whenAllSucceed(replies, on: loop)
      }
      #expect(outcomes.allSatisfy { $0.error == nil })
      _ = try await router.onLoop { _, loop in
        #expect(caller.value.pauses == caller.value.resumes)
        return loop.makeSucceededVoidFuture()
      }
    }
  }

  @Test func aLargeReplyWaitsForItsCaller() async throws {
    try await withRouter { router in
      let text = String(repeating: "0123456789", count: 100_000)
      _ = try await router.call(.set, Requests.set("k", text)).get()
      let outcome = try await router.onLoop { port, loop in
        let caller = Caller()
        caller.isFull = true
        let promise = loop.makePromise(of: Outcome.self)
        let call = port.call(.get, Requests.key("k"), for: caller) {
          #expect(caller.expected > 1_000_000 && caller.questionsTooLate == 0)
          promise.succeed($0)
        }
        let bound = NIOLoopBound((port, caller, call), eventLoop: loop)
        caller.whenRefused = {
          loop.execute {
            let (port, caller, call) = bound.value
            caller.isFull = false
            if let call { port.callerTakesMore(call) }
          }
        }
        return promise.futureResult
      }
      #expect(try outcome.get().readableBytes > text.utf8.count)
    }
  }

  // MARK: - Plumbing

  private func withRouter(
    threads: Int = 1, linkLimits: LinkLimits = LinkLimits(),
    _ body: (RouterServer) async throws -> Void
  ) async throws {
    let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    var shards: [ShardServer] = []
    var descriptions: [ShardDescription] = []
    for id in ["a", "b"] {
      var configuration = ShardConfiguration(id: id)
      (configuration.port, configuration.drainSeconds) = (0, 1)
      let shard = try await ShardServer.start(configuration, version: "1", logger: logger)
      shards.append(shard)
      descriptions.append(
        ShardDescription(id: id, address: "127.0.0.1:\(shard.port)", weight: 1))
    }
    var configuration = RouterConfiguration(shards: descriptions)
    (configuration.port, configuration.drainSeconds) = (0, 1)
    (configuration.threads, configuration.linkLimits) = (threads, linkLimits)
    let router = try await RouterServer.start(configuration, version: "1", logger: logger)
    let outcome: Result<Void, any Error>
    do {
      // A router starts even where its shards can't be reached in time, as on a busy machine.
      for loop in 0..<threads {
        while await router.call(.dbSize, Ringstore_V1_DbSizeRequest(), loop: loop).error != nil {
          try await Task.sleep(for: .milliseconds(5))
        }
      }
      outcome = .success(try await body(router))
    } catch {
      outcome = .failure(error)
    }
    await router.drain()
    for shard in shards { await shard.drain() }
    try outcome.get()
  }
}

typealias Outcome = Result<ByteBuffer, CallError>

extension Outcome {
  var error: CallError? {
    if case .failure(let error) = self { error } else { nil }
  }
}

extension CallPort {
  @discardableResult
  func call(
    _ command: CommandID, _ request: some Message, until deadlineNanos: UInt64? = nil,
    for caller: (any CallPortCaller)? = nil, reply: @escaping (Outcome) -> Void
  ) -> PortCall? {
    let bytes: [UInt8] = (try? request.serializedBytes()) ?? []
    return call(
      command, request: ByteBuffer(bytes: bytes), CallContext(deadlineNanos: deadlineNanos),
      for: caller,
      reply: reply)
  }
}

extension RouterServer {
  /// Runs `body` on one of the router's loops, with that loop's port.
  func onLoop<Value: Sendable>(
    _ loop: Int = 0,
    _ body: @escaping @Sendable (RouterService, any EventLoop) throws -> EventLoopFuture<Value>
  ) async throws -> Value {
    let service = services[loop]
    return try await service.eventLoop.flatSubmit {
      do {
        return try body(service.value, service.eventLoop)
      } catch {
        return service.eventLoop.makeFailedFuture(error)
      }
    }.get()
  }

  func call(
    _ command: CommandID, _ request: some Message, until deadlineNanos: UInt64? = nil,
    loop: Int = 0
  ) async -> Outcome {
    do {
      return try await onLoop(loop) { port, loop in
        let promise = loop.makePromise(of: Outcome.self)
        port.call(command, request, until: deadlineNanos) { promise.succeed($0) }
        return promise.futureResult
      }
    } catch {
      return .failure(.internalError("\(error)"))
    }
  }

  func response<Response: Message>(
    _ command: CommandID, _ request: some Message
  ) async throws -> Response {
    try Response(
      serializedBytes: Array(try await call(command, request).get().readableBytesView))
  }
}

/// A caller that waits when it is asked to, and takes large replies or not.
final class Caller: CallPortCaller {
  var pauses = 0
  var resumes = 0
  var isFull = false
  var expected = 0
  /// How often room was asked for after the reply had been.
  var questionsTooLate = 0
  var whenRefused: (() -> Void)?

  func pauseReading() { pauses += 1 }
  func resumeReading() { resumes += 1 }

  func takesLargeReply(of call: PortCall) -> Bool {
    if expected > 0 { questionsTooLate += 1 }
    if isFull { whenRefused?() }
    return !isFull
  }

  func expectsLargeReply(of call: PortCall, byteCount: Int) { expected += byteCount }
}

private enum Requests {
  static func key(_ key: String) -> Ringstore_V1_Key {
    var request = Ringstore_V1_Key()
    request.key = .init(key.utf8)
    return request
  }

  static func set(_ key: String, _ value: String) -> Ringstore_V1_KeyValue {
    var request = Ringstore_V1_KeyValue()
    request.key = .init(key.utf8)
    request.value = .init(value.utf8)
    return request
  }

  static func push(_ key: String, _ values: [String]) -> Ringstore_V1_ListInsert {
    var request = Ringstore_V1_ListInsert()
    request.key = .init(key.utf8)
    request.values = values.map { .init($0.utf8) }
    return request
  }
}

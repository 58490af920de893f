// Calls made on a shard's loop from within: the same answers as a client gets.

import Commands
import GRPC
import Logging
import NIOCore
import NIOPosix
import NodeCore
import ProtobufMessages
import RingstoreAPI
import SwiftProtobuf
import Testing

@testable import ShardNode

@Suite("A shard's port for calls from within")
struct ShardCallPortTests {
  @Test func aCallOnAKeyIsAnsweredAtOnce() async throws {
    try await withPort { port in
      var outcomes: [[UInt8]] = []
      let first = port.call(.set, Requests.set("k", "v")) { outcomes.append($0.bytes) }
      let second = port.call(.get, Requests.key("k")) { outcomes.append($0.bytes) }
      #expect(first == nil && second == nil, "nothing is left under way")
      let value = try Ringstore_V1_Value(serializedBytes: try #require(outcomes.last))
      #expect(outcomes.count == 2 && value.value == .init("v".utf8) && value.found)
      return port.settled
    }
  }

  @Test func anErrorIsTheOneThatAClientGetsAndIsCounted() async throws {
    try await withPort { port in
      var errors: [CallError?] = []
      port.call(.get, Requests.key("")) { errors.append($0.error) }
      port.call(.lPop, Requests.set("k", "v")) { errors.append($0.error) }
      port.call(.scan, Ringstore_V1_ScanRequest()) { errors.append($0.error) }
      #expect(errors.map { $0?.code } == [.invalidArgument, .unimplemented, .unimplemented])
      #expect(errors.first??.reason == .invalidKey)
      let counters = port.core.counters.entries(prefix: NodeCounters.shardPrefix)
      #expect(counters["ringstore_errors_total"] == 2)
      #expect(counters["ringstore_calls_get_total"] == 1)
      return port.settled
    }
  }

  @Test func aLargeReplyComesWhole() async throws {
    let text = pattern(3_000_000)
    let outcome = try await withPort { port in
      port.call(.set, Requests.set("k", text)) { _ in }
      return port.promised(.get, Requests.key("k"))
    }
    let value = try Ringstore_V1_Value(serializedBytes: outcome.bytes)
    #expect(value.found && value.value.holds(text))
  }

  @Test func aLargeReplyWaitsForACallerThatTakesNone() async throws {
    let text = pattern(1_000_000)
    let caller = try await Caller.make()
    let outcome = try await withPort { port in
      caller.value.isFull = true
      port.call(.set, Requests.set("k", text)) { _ in }
      let promise = port.eventLoop.makePromise(of: Outcome.self)
      let call = port.call(.get, Requests.key("k"), for: caller.value) { promise.succeed($0) }
      // The turns that the reply gets are refused one after another, until there is room.
      #expect(caller.value.refusals == 0)
      let bound = NIOLoopBound((port, call), eventLoop: port.eventLoop)
      caller.value.whenRefused = {
        #expect(caller.value.expected == 0)
        caller.value.isFull = false
        let (port, call) = bound.value
        if let call { port.callerTakesMore(call) }
      }
      return promise.futureResult
    }
    #expect(outcome.bytes.count > text.utf8.count)
    try await caller.eventLoop.submit { #expect(caller.value.expected > 1_000_000) }.get()
  }

  @Test func aCallMadeOfPartsIsAnsweredInTurns() async throws {
    let outcome = try await withPort { port in
      for key in ["a", "b", "c"] { port.call(.set, Requests.set(key, key)) { _ in } }
      return port.promised(.dbSize, Ringstore_V1_DbSizeRequest())
    }
    #expect(try Ringstore_V1_DbSizeResponse(serializedBytes: outcome.bytes).keys == 3)
  }

  @Test func aCancelledCallIsNotAnswered() async throws {
    let text = pattern(1_000_000)
    let outcome = try await withPort { port in
      port.call(.set, Requests.set("k", text)) { _ in }
      let large = port.call(.get, Requests.key("k")) { _ in Issue.record("it was cancelled") }
      let parts = port.call(.keys, Ringstore_V1_KeysRequest()) { _ in
        Issue.record("it was cancelled")
      }
      #expect(large != nil && parts != nil)
      for call in [large, parts].compactMap({ $0 }) { port.cancel(call) }
      #expect(!port.core.holdsViews)
      return port.promised(.dbSize, Ringstore_V1_DbSizeRequest())
    }
    #expect(try Ringstore_V1_DbSizeResponse(serializedBytes: outcome.bytes).keys == 1)
  }

  @Test func aDeadlineEndsWhatIsUnderWay() async throws {
    let caller = try await Caller.make()
    let outcome = try await withPort { port in
      caller.value.isFull = true
      port.call(.set, Requests.set("k", pattern(1_000_000))) { _ in }
      let promise = port.eventLoop.makePromise(of: Outcome.self)
      let soon = (NIODeadline.now() + .milliseconds(20)).uptimeNanoseconds
      port.call(.get, Requests.key("k"), until: soon, for: caller.value) { promise.succeed($0) }
      var late: CallError?
      port.call(.set, Requests.set("late", "v"), until: 1) { late = $0.error }
      #expect(late?.code == .deadlineExceeded)
      return promise.futureResult
    }
    #expect(outcome.error?.code == .deadlineExceeded)
  }

  // MARK: - Plumbing

  /// Runs `body` on the loop of a shard that nobody else knows; what it returns is awaited.
  @discardableResult
  private func withPort(
    _ body: @escaping @Sendable (ShardService) throws -> EventLoopFuture<Outcome>
  ) async throws -> Outcome {
    let loop = testLoop
    return try await loop.flatSubmit {
      let service = ShardService(
        core: ShardFixture(limits: .wide, now: { NIODeadline.now().uptimeNanoseconds }).core,
        eventLoop: loop,
        logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
      do {
        let kept = NIOLoopBound(service, eventLoop: loop)
        return try body(service).always { _ in withExtendedLifetime(kept) {} }
      } catch {
        return loop.makeFailedFuture(error)
      }
    }.get()
  }
}

/// One loop for a test's node and its caller.
private let testLoop = MultiThreadedEventLoopGroup.singleton.next()

typealias Outcome = Result<ByteBuffer, CallError>

extension Outcome {
  var bytes: [UInt8] { (try? get()).map { Array($0.readableBytesView) } ?? [] }

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

extension ShardService {
  /// Nothing to wait for.
  var settled: EventLoopFuture<Outcome> { eventLoop.makeSucceededFuture(.success(ByteBuffer())) }

  func promised(_ command: CommandID, _ request: some Message) -> EventLoopFuture<Outcome> {
    let promise = eventLoop.makePromise(of: Outcome.self)
    call(command, request) { promise.succeed($0) }
    return promise.futureResult
  }
}

/// A caller that takes large replies or not.
final class Caller: CallPortCaller {
  var isFull = false
  var refusals = 0
  var expected = 0
  var whenRefused: (() -> Void)?

  static func make() async throws -> NIOLoopBound<Caller> {
    let loop = testLoop
    return try await loop.submit { NIOLoopBound(Caller(), eventLoop: loop) }.get()
  }

  func pauseReading() {}
  func resumeReading() {}

  func takesLargeReply(of call: PortCall) -> Bool {
    guard isFull else { return true }
    refusals += 1
    whenRefused?()
    return false
  }

  func expectsLargeReply(of call: PortCall, byteCount: Int) {
    expected += byteCount
  }
}

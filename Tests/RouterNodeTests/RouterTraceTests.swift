// The spans of traced calls at a router: one for each sub-request, with each outcome.

import Commands
import GRPC
import LargeMemory
import NodeCore
import ProtobufMessages
import RingstoreAPI
import SwiftProtobuf
import Testing
import Tracing

@testable import RouterNode

@Suite struct RouterTraceTests {
  let router: RouterFixture
  let queue = SpanQueue(spansPerSecond: Self.spansPerSecond)
  let tracer: Tracer
  private static let spansPerSecond = 1_000

  init() throws {
    var limits = LinkLimits()
    limits.callsInFlightMax = 2
    limits.waitNanosMax = 1_000_000_000
    router = try RouterFixture(linkLimits: limits)
    try router.acceptAll()
    tracer = Tracer(
      TraceSettings(), queue, TraceResource(role: "router", cluster: "c", id: "r", version: "1"),
      clock: TraceClock(nanos: { 1 }, unixNanos: { 1 }), random: SplitMix64(seed: 1))
    router.core.tracer = tracer
  }

  /// The spans that have ended.
  private func ended() -> [Span] { queue.take(max: .max) }

  /// A call on a key, below a new span.
  @discardableResult
  private func call(
    _ id: CommandID, _ key: String, caller: Int, bytes: Int = 0, givesBlock: Bool = false,
    deadlineNanos: UInt64? = nil
  ) throws -> (id: UInt64?, span: OpenSpan) {
    let span = try #require(tracer.begin("s/M", parent: nil))
    var request = Ringstore_V1_KeyValue()
    request.key = .init(key.utf8)
    request.value = .init(repeating: FakeShard.valueByte, count: bytes)
    var context = CallContext(deadlineNanos: deadlineNanos)
    context.span = span.number
    let encoded: [UInt8] = try request.serializedBytes()
    let owned = encoded.withUnsafeBytes { OwnedBytes(copying: $0) }
    let number = owned.withBytes {
      router.core.submit(
        UInt32(id.rawValue), message: $0, in: givesBlock ? owned.block : nil, context,
        endsAtDeadline: true, caller: caller)
    }
    return (number, span)
  }

  private func context(_ call: Ringstore_Internal_V1_LinkCall) -> TraceContext? {
    Array(call.traceContext).withUnsafeBytes { TraceContext(encoded: $0) }
  }

  @Test func aTracedCallHasItsTraceAndTheRoutersSpanInItsFrameOthersHaveNone() throws {
    let key = router.key(of: 0)
    let (id, span) = try call(.set, key, caller: 1)
    router.get(key, caller: 2)
    let calls = try router.sent(to: 0).calls
    #expect(calls.count == 2 && calls[1].traceContext.isEmpty)
    let told = try #require(context(calls[0]))
    #expect(told.traceID == span.context.traceID && told.isSampled)
    try router.reply(try #require(id), from: 0)
    let link = try #require(ended().first)
    #expect(link.context == told && link.parentID == span.context.spanID)
    #expect(link.kind == .client && link.name == "ringstore.v1.KeyStore/Set")
    #expect(link["ringstore.shard"] == .text("a") && link["ringstore.lane"] == .text("calls"))
    #expect(link.outcome == .ok)
    try router.reply(calls[1].id, from: 0)
    #expect(ended().isEmpty && tracer.openCount == 1 && router.isTidy)
  }

  @Test(arguments: [true, false])
  func aLargeRequestHasItsTraceContextWhetherItIsCopiedOrNot(givesBlock: Bool) throws {
    let (id, _) = try call(
      .set, router.key(of: 0), caller: 1, bytes: 2 << 20, givesBlock: givesBlock)
    let sent = try #require(try router.sent(to: 0, .bulk).calls.first)
    #expect(context(sent) != nil && sent.request.count > 2 << 20)
    try router.reply(try #require(id), from: 0, .bulk)
    #expect(ended().map { $0["ringstore.lane"] } == [.text("bulk")])
  }

  @Test func aShardsErrorIsTheSpansOutcome() throws {
    let (id, _) = try call(.set, router.key(of: 0), caller: 1)
    _ = try router.sent(to: 0)
    let error = CallError.wrongType(holds: "a list", wanted: "a string")
    try router.refuse(try #require(id), from: 0, .calls, error)
    let link = try #require(ended().first)
    #expect(link.outcome == SpanOutcome(.failedPrecondition, reason: "WRONG_TYPE"))
    #expect(link.isError)
  }

  @Test func aSpanEndsWhenTheLinkIsLostTheCallerDisconnectsOrTheDeadlinePasses() throws {
    try call(.set, router.key(of: 0), caller: 1)
    let (second, _) = try call(.set, router.key(of: 1), caller: 2)
    try call(.set, router.key(of: 1), caller: 3, deadlineNanos: router.nowNanos + 1)
    for shard in 0...1 { _ = try router.sent(to: shard) }
    router.lose(0)
    #expect(ended().map(\.outcome.reason) == ["OUTCOME_UNKNOWN"])
    router.core.cancel(try #require(second))
    #expect(ended().map(\.outcome.code) == [.cancelled])
    router.advance(millis: 1)
    #expect(ended().map(\.outcome.code) == [.deadlineExceeded])
  }

  @Test func waitsAreEventsOfTheSpan() throws {
    let key = router.key(of: 0)
    for caller in 1...2 { router.get(key, caller: caller) }
    try call(.get, key, caller: 3)
    try call(.get, key, caller: 4)
    let first = try router.sent(to: 0).calls[0].id
    try router.reply(first, from: 0)
    let sent = try #require(try router.sent(to: 0).calls.first)
    #expect(context(sent) != nil)
    try router.reply(sent.id, from: 0)
    #expect(ended().first?.events.map(\.name) == ["waits for room", "sent"])
    // (Room was made for the last one; it is sent now.)
    router.advance(millis: 1_000)
    _ = try router.sent(to: 0)
    router.lose(0)
    #expect(ended().count == 1 && tracer.openCount == 2)
  }

  @Test func aCallThatItsShardReturnsKeepsItsSpan() throws {
    let (id, _) = try call(.get, router.key(of: 0), caller: 1)
    let first = try #require(try router.sent(to: 0).calls.first)
    var frame = Ringstore_Internal_V1_ShardFrame()
    var reply = Ringstore_Internal_V1_LinkReply()
    reply.id = try #require(id)
    reply.code = StatusCode.failedPrecondition.rawValue
    reply.more = true
    reply.response = try first.serializedData()
    frame.replies = [reply]
    try router.receive(frame, from: 0)
    for _ in 0..<5 { router.advance(millis: 100) }
    let again = try router.sent(to: 0).calls
    #expect(again.count == 1 && again.allSatisfy { context($0) == context(first) })
    for sent in again { try router.reply(sent.id, from: 0) }
    let link = try #require(ended().first)
    #expect(link.events.first?.name == "returned by a")
  }

  @Test func aSpanThatEndsWithItsSubRequestAlsoEndsIfThereIsNone() throws {
    let span = try #require(tracer.begin("s/M", parent: nil))
    span.endsWithChild = true
    var context = CallContext()
    context.span = span.number
    let id = [UInt8]().withUnsafeBytes {
      router.core.submit(
        UInt32(CommandID.get.rawValue), message: $0, context, endsAtDeadline: true, caller: 1)
    }
    #expect(id == nil)
    #expect(ended().map(\.outcome.reason) == ["INVALID_KEY"])
  }

  @Test func aCallWhoseSubRequestMayHaveNoSpanIsTracedWithTheSpanAboveIt() throws {
    let span = try #require(tracer.begin("s/M", parent: nil))
    span.endsWithChild = true
    for _ in 1..<Self.spansPerSecond {
      tracer.end(try #require(tracer.begin("s/M", parent: nil)).number)
    }
    #expect(ended().count == Self.spansPerSecond - 1)
    var context = CallContext()
    context.span = span.number
    var key = Ringstore_V1_Key()
    key.key = .init(router.key(of: 0).utf8)
    let request: [UInt8] = try key.serializedBytes()
    let id = request.withUnsafeBytes {
      router.core.submit(
        UInt32(CommandID.get.rawValue), message: $0, context, endsAtDeadline: true, caller: 1)
    }
    let sent = try #require(try router.sent(to: 0).calls.first)
    #expect(self.context(sent)?.spanID == span.context.spanID)
    try router.reply(try #require(id), from: 0)
    let whole = try #require(ended().first)
    #expect(whole.kind == .server && whole["ringstore.shard"] == .text("a"))
    #expect(whole["ringstore.spans_omitted"] == .number(1) && tracer.openCount == 0)
  }

  // MARK: - Calls that are made of sub-requests

  /// An MGet of a key of each of these shards, below a new span.
  private func mGet(of shards: [Int]) throws -> OpenSpan {
    let span = try #require(tracer.begin("s/M", parent: nil))
    var context = CallContext()
    context.span = span.number
    let request: [UInt8] = try Ringstore_V1_MGetRequest.with {
      $0.keys = shards.map { shard in .with { $0.key = .init(router.key(of: shard).utf8) } }
    }.serializedBytes()
    let operation = try request.withUnsafeBytes {
      try OperationFactory.make(
        .mGet, message: $0, in: nil, context, limits: router.core.limits,
        describe: { DescribeMerge(cluster: "c", map: router.core.map, router: nil, shardIDs: []) })
    }
    _ = router.core.start(operation, context, caller: 1)
    return span
  }

  @Test func aSubRequestThatCanNotBeSentHasASpanWithItsError() throws {
    router.lose(0)
    let span = try mGet(of: [0, 1])
    let failed = try #require(ended().first)
    #expect(failed.parentID == span.context.spanID && failed.kind == .client && failed.isError)
    #expect(failed.outcome == SpanOutcome(.unavailable, reason: "SHARD_UNAVAILABLE"))
    #expect(failed["ringstore.shard"] == .text("a"))
    let sent = try #require(try router.sent(to: 1).calls.first)
    try router.reply(sent.id, from: 1, .calls, [])
    #expect(ended().map(\.outcome) == [.ok])
    tracer.end(span.number)
    let whole = try #require(ended().first)
    #expect(whole["ringstore.parts_failed"] == .number(1))
    #expect(whole["ringstore.parts_failed_reason"] == .text("SHARD_UNAVAILABLE"))
  }

  @Test func aSubRequestThatFailsLaterIsPartOfTheCallsSpanToo() throws {
    let span = try mGet(of: [0, 1])
    _ = try router.sent(to: 0)
    let second = try #require(try router.sent(to: 1).calls.first)
    router.lose(0)
    try router.reply(second.id, from: 1, .calls, [])
    #expect(Set(ended().map(\.outcome.code)) == [.unavailable, .ok])
    tracer.end(span.number)
    #expect(ended().first?["ringstore.parts_failed"] == .number(1))
  }

  @Test func aSubRequestThatIsRefusedForLackOfRoomHasOneSpan() throws {
    let key = router.key(of: 0)
    for caller in 2..<4 { router.get(key, caller: caller) }
    let span = try mGet(of: [0])
    router.advance(millis: 1_000)
    #expect(ended().map(\.outcome.reason) == ["OVERLOADED"])
    tracer.end(span.number)
    #expect(ended().first?["ringstore.parts_failed"] == .number(1))
  }

  @Test func aCallOnEveryShardHasASpanForEachOfThem() throws {
    let span = try #require(tracer.begin("s/M", parent: nil))
    var context = CallContext()
    context.span = span.number
    let request: [UInt8] = try Ringstore_V1_DbSizeRequest().serializedBytes()
    let operation = try request.withUnsafeBytes {
      try OperationFactory.make(
        .dbSize, message: $0, in: nil, context, limits: router.core.limits,
        describe: {
          DescribeMerge(cluster: "test", map: router.core.map, router: nil, shardIDs: ["a", "b"])
        })
    }
    _ = router.core.start(operation, context, caller: 1)
    for shard in 0...1 {
      for call in try router.sent(to: shard).calls {
        #expect(self.context(call)?.traceID == span.context.traceID)
        try router.reply(call.id, from: shard, .calls, [])
      }
    }
    let links = ended()
    #expect(links.count == 2)
    #expect(links.allSatisfy { $0.parentID == span.context.spanID })
    #expect(Set(links.map(\.name)) == ["ringstore.internal.v1.Link/DbSizePart"])
  }
}

// The spans of traced calls at a shard, over a link: their contents, and when they end.

import Commands
import GRPC
import NIOCore
import NodeCore
import ProtobufMessages
import RingstoreAPI
import SwiftProtobuf
import Testing
import Tracing

@testable import ShardNode

@Suite struct ShardTraceTests {
  let shard = ShardFixture()
  let link: Link
  let queue = SpanQueue(spansPerSecond: 1_000_000)
  let tracer: Tracer
  private static let parent = TraceContext(
    traceID: TraceID(high: 1, low: 2), spanID: 3, flags: 1, state: "a=b")

  init() throws {
    link = try Link(to: shard)
    // Both are used by one thread.
    nonisolated(unsafe) let clock = shard.clock
    tracer = Tracer(
      TraceSettings(), queue, TraceResource(role: "shard", cluster: "c", id: "a", version: "1"),
      clock: TraceClock(nanos: { clock.nowNanos }, unixNanos: { clock.nowNanos }),
      random: SplitMix64(seed: 1))
    shard.core.tracer = tracer
  }

  private func ended() -> [Span] { queue.take(max: .max) }

  private func give(
    _ id: UInt64, _ method: UInt32, _ request: some Message,
    context: [UInt8] = Self.parent.encoded
  ) throws {
    let encoded: [UInt8] = try request.serializedBytes()
    link.calls.give { frame in
      encoded.withUnsafeBytes {
        frame.bytes.writeLinkCall(
          id: id, method: method, request: $0, deadlineMillis: 0, restriction: nil,
          traceContext: ByteBuffer(bytes: context))
      }
    }
  }

  private func give(_ id: UInt64, _ command: CommandID, _ request: some Message) throws {
    try give(id, UInt32(command.rawValue), request)
  }

  @Test func theSpanOfACallWithAnImmediateReplyEndsWithIt() throws {
    try give(1, .set, Requests.set("k", "v"))
    let span = try #require(ended().first)
    #expect(span.parentID == 3 && span.context.traceID == Self.parent.traceID)
    #expect(span.context.state == "a=b" && span.kind == .server)
    #expect(span.name == "ringstore.v1.KeyStore/Set" && span.outcome == .ok)
    #expect(span["ringstore.shard"] == .text("a") && span["db.namespace"] == .text("0"))
    #expect(span["rpc.method"] == .text("ringstore.v1.KeyStore/Set"))
    #expect(span["db.operation.name"] == .text("Set"))
    #expect(span["ringstore.queue_nanos"] == .number(0))
    #expect(tracer.openCount == 0 && link.calls.take().count == 1)
  }

  @Test func withoutAContextOrWithAMalformedOrAnUnsampledOneACallHasNoSpan() throws {
    #expect(link.call(1, .set, Requests.set("k", "v")).count == 1)
    try give(2, UInt32(CommandID.get.rawValue), Requests.key("k"), context: [1, 2, 3])
    let unsampled = TraceContext(traceID: TraceID(high: 1, low: 2), spanID: 3, flags: 0)
    try give(3, UInt32(CommandID.get.rawValue), Requests.key("k"), context: unsampled.encoded)
    #expect(link.calls.take().count == 2 && ended().isEmpty)
  }

  @Test func anErrorIsTheSpansOutcome() throws {
    try give(1, .set, Requests.set("k", "v"))
    try give(2, .lLen, Requests.key("k"))
    #expect(ended().map(\.outcome.reason) == [nil, "WRONG_TYPE"])
  }

  @Test func whileAReplyWaitsForTheLogItsSpanIsOpenAndHasAnEvent() throws {
    let marks = shard.holding()
    try give(1, .set, Requests.set("k", "v"))
    #expect(ended().isEmpty && tracer.openCount == 1)
    shard.clock.nowNanos += 5_000
    marks.commit()
    let span = try #require(ended().first)
    #expect(span.events.map(\.name) == ["waits for the log"])
    #expect(span.endUnixNanos - span.startUnixNanos == 5_000)
    #expect(shard.core.gate.isEmpty)
  }

  @Test func aReplyThatIsNeverCommittedEndsItsSpanWithAnError() throws {
    _ = shard.holding()
    try give(1, .set, Requests.set("k", "v"))
    shard.core.gate.giveUp()
    #expect(ended().map(\.outcome.reason) == ["OUTCOME_UNKNOWN"])
  }

  @Test func theSpanOfASliceHasTheTimeThatItWaitedForItsTurn() throws {
    let part = LinkV1.KeysPartRequest.with(maxVisits: 10)
    let encoded = part.encoded
    link.calls.give { frame in
      encoded.withUnsafeBytes {
        frame.bytes.writeLinkCall(
          id: 1, method: InternalMethod.keysPart.rawValue, request: $0, deadlineMillis: 0,
          restriction: nil, traceContext: ByteBuffer(bytes: Self.parent.encoded))
      }
    }
    shard.clock.nowNanos += 700
    #expect(ended().isEmpty)
    shard.runTurns()
    let span = try #require(ended().first)
    #expect(span.name == "ringstore.internal.v1.Link/KeysPart")
    #expect(span["ringstore.queue_nanos"] == .number(700))
    #expect(tracer.openCount == 0)
  }

  @Test func theSpanOfAPopThatWaitsEndsWithItsValueOrWithItsLink() throws {
    var pop = Ringstore_V1_PopRequest()
    pop.key = .init("list".utf8)
    pop.waitMillis = 10_000
    try give(1, .lPop, pop)
    try give(2, .lPop, pop)
    #expect(ended().isEmpty && tracer.openCount == 2)
    #expect(link.call(3, .rPush, Requests.push("list", ["v"])).isEmpty == false)
    let span = try #require(ended().first)
    #expect(span.events.map(\.name) == ["parked"] && span.outcome == .ok)
    link.calls.session?.lost()
    #expect(ended().map(\.outcome.code) == [.cancelled] && tracer.openCount == 0)
  }
}

extension LinkV1.KeysPartRequest {
  fileprivate static func with(maxVisits: UInt32) -> Self {
    var part = LinkV1.KeysPartRequest()
    part.maxVisits = maxVisits
    part.maxBytes = 1 << 20
    return part
  }

  fileprivate var encoded: [UInt8] {
    var request = ByteBuffer()
    write(into: &request)
    return Array(request.readableBytesView)
  }
}

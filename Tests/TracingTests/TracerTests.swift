// Which calls are traced, what their spans contain, and the limits.

import StatusCodes
import Testing
import Tracing

@Suite struct TracerTests {
  private func caller(sampled: Bool = true) -> TraceContext {
    TraceContext(
      traceID: TraceID(high: 5, low: 6), spanID: 7, flags: sampled ? 1 : 0, state: "a=b")
  }

  // MARK: - Sampling

  @Test func atARatioOf0NoCallIsSampledAt1Each() {
    let none = TracerFixture(ratio: 0)
    let all = TracerFixture(ratio: 1)
    for _ in 0..<1_000 {
      #expect(!none.tracer.samples())
      #expect(all.tracer.samples())
    }
  }

  @Test(arguments: [0.5, 0.1, 0.01])
  func theShareOfSampledCallsIsTheRatio(ratio: Double) {
    let fixture = TracerFixture(ratio: ratio, random: MixedNumbers(state: 42))
    let calls = 200_000
    let sampled = (0..<calls).count(where: { _ in fixture.tracer.samples() })
    let expected = Double(calls) * ratio
    // Six standard deviations of the binomial distribution; the numbers are the same each time.
    let spread = 6 * (expected * (1 - ratio)).squareRoot()
    #expect(abs(Double(sampled) - expected) < spread)
  }

  @Test func aCallAfterASampledOneHasTheSameChance() {
    let fixture = TracerFixture(ratio: 0.5, random: MixedNumbers(state: 7))
    var pairs = 0
    var before = false
    for _ in 0..<100_000 {
      let now = fixture.tracer.samples()
      if before, now { pairs += 1 }
      before = now
    }
    #expect((24_000...26_000).contains(pairs))
  }

  // MARK: - Spans

  @Test func aSpanOfACallersTraceHasTheTracesIdAndTracestateAndAnIdOfItsOwn() throws {
    let fixture = TracerFixture()
    let span = try #require(fixture.tracer.begin("s/M", parent: caller()))
    span.attributes.append(SpanAttribute("a", 1))
    fixture.clock.advance(nanos: 500)
    fixture.tracer.note("half", in: span.number)
    fixture.clock.advance(nanos: 500)
    fixture.tracer.end(span.number)
    let ended = try #require(fixture.ended().first)
    #expect(ended.context.traceID == caller().traceID)
    #expect(ended.parentID == 7 && ended.context.spanID == 1 && ended.context.state == "a=b")
    #expect(ended.name == "s/M" && ended.kind == .server)
    #expect(ended.endUnixNanos - ended.startUnixNanos == 1_000)
    #expect(ended.events == [SpanEvent(name: "half", unixNanos: ended.startUnixNanos + 500)])
    #expect(ended["a"] == .number(1) && ended["rpc.response.status_code"] == .text("OK"))
    #expect(!ended.isError && ended["error.type"] == nil)
    #expect(fixture.tracer.openCount == 0)
  }

  @Test func aTraceThatBeginsHereIsSampledAndItsSpanHasNoParent() throws {
    let fixture = TracerFixture()
    let span = try #require(fixture.tracer.begin("s/M", parent: nil))
    fixture.tracer.end(span.number)
    let ended = try #require(fixture.ended().first)
    #expect(ended.parentID == 0 && ended.context.isSampled && ended.context.traceID.isValid)
  }

  @Test func aSpanBelowAnotherHasItsIdAsParentASpanMayBeginBeforeNow() throws {
    let fixture = TracerFixture()
    fixture.clock.advance(nanos: 10_000)
    let parent = try #require(
      fixture.tracer.begin("s/M", parent: nil, sinceNanos: fixture.clock.nanos - 300))
    let child = try #require(fixture.tracer.begin("s/N", .client, below: parent.number))
    #expect(fixture.tracer.nanos(of: parent) == 300 && fixture.tracer.nanos(of: child) == 0)
    fixture.tracer.end(child.number)
    fixture.tracer.end(parent.number)
    let ended = fixture.ended()
    #expect(ended.map(\.name) == ["s/N", "s/M"])
    #expect(ended[0].parentID == ended[1].context.spanID)
    #expect(ended[0].context.traceID == ended[1].context.traceID)
    #expect(ended[1].endUnixNanos - ended[1].startUnixNanos == 300)
    #expect(fixture.tracer.begin("s/N", .client, below: parent.number) == nil)
  }

  @Test func aSpanThatEndsWithItsChildHasTheChildsOutcomeOnce() throws {
    let fixture = TracerFixture()
    let parent = try #require(fixture.tracer.begin("s/M", parent: nil))
    parent.endsWithChild = true
    let child = try #require(fixture.tracer.begin("s/M", .client, below: parent.number))
    fixture.tracer.end(child.number, SpanOutcome(.unavailable, reason: "SHARD_UNAVAILABLE"))
    fixture.tracer.end(parent.number)
    fixture.tracer.end(child.number)
    let ended = fixture.ended()
    #expect(ended.count == 2 && ended.allSatisfy(\.isError))
    #expect(ended.allSatisfy { $0["ringstore.reason"] == .text("SHARD_UNAVAILABLE") })
  }

  @Test func anOutcomeThatWasSetHoldsUnlessTheEndGivesAnother() throws {
    let fixture = TracerFixture()
    for outcome in [nil, SpanOutcome.ok] {
      let span = try #require(fixture.tracer.begin("s/M", parent: nil))
      fixture.tracer.setOutcome(SpanOutcome(.notFound), of: span.number)
      fixture.tracer.end(span.number, outcome)
    }
    #expect(fixture.ended().map(\.outcome.code) == [.notFound, .ok])
  }

  @Test(arguments: [
    (StatusCode.ok, false, false), (.unavailable, true, true), (.notFound, false, true),
    (.invalidArgument, false, true), (.internal, true, true), (.deadlineExceeded, true, true),
    (.resourceExhausted, false, true),
  ])
  func aServersSpanFailsForErrorsOfTheServerAClientsForEachError(
    code: StatusCode, server: Bool, client: Bool
  ) throws {
    let fixture = TracerFixture()
    let span = try #require(fixture.tracer.begin("s/M", parent: nil))
    let below = try #require(fixture.tracer.begin("s/M", .client, below: span.number))
    fixture.tracer.end(below.number, SpanOutcome(code))
    fixture.tracer.end(span.number, SpanOutcome(code))
    let ended = fixture.ended()
    #expect(ended.map(\.isError) == [client, server])
    #expect(ended.allSatisfy { $0["rpc.response.status_code"] == .text(code.name) })
    #expect(ended.map { $0["error.type"] } == [client, server].map { $0 ? .text(code.name) : nil })
  }

  // MARK: - Limits

  @Test func theNumberOfSpansThatBeginInASecondIsLimitedEachSecondCountsAgain() {
    let fixture = TracerFixture(spansPerSecond: 3)
    func begin() -> Bool {
      guard let span = fixture.tracer.begin("s/M", parent: caller()) else { return false }
      fixture.tracer.end(span.number)
      return true
    }
    #expect((0..<5).map { _ in begin() } == [true, true, true, false, false])
    fixture.clock.advance(nanos: 999_999_999)
    #expect(!begin())
    fixture.clock.advance(nanos: 1)
    #expect(begin())
    #expect(fixture.queue.counts.limited == 3)
  }

  @Test func theNumberOfSpansBelowOneIsLimitedItHasTheNumberOfThoseLeftOut() throws {
    let fixture = TracerFixture()
    let parent = try #require(fixture.tracer.begin("s/M", parent: nil))
    for number in 0..<(Tracer.childrenMax + 5) {
      let child = fixture.tracer.begin("s/N", .client, below: parent.number)
      #expect((child != nil) == (number < Tracer.childrenMax))
      if let child { fixture.tracer.end(child.number) }
    }
    fixture.tracer.end(parent.number)
    #expect(fixture.ended().last?["ringstore.spans_omitted"] == .number(5))
  }

  @Test func theNumberOfOpenSpansOfALoopIsLimited() throws {
    let fixture = TracerFixture()
    var last: OpenSpan?
    for _ in 0..<Tracer.openMax { last = fixture.tracer.begin("s/M", parent: nil) }
    #expect(last != nil && fixture.tracer.openCount == Tracer.openMax)
    #expect(fixture.tracer.begin("s/M", parent: nil) == nil)
    #expect(fixture.queue.counts.limited == 1)
    fixture.tracer.end(try #require(last).number)
    #expect(fixture.tracer.begin("s/M", parent: nil) != nil)
  }

  @Test func theNumberOfEventsOfASpanIsLimited() throws {
    let fixture = TracerFixture()
    let span = try #require(fixture.tracer.begin("s/M", parent: nil))
    for _ in 0..<(2 * Tracer.eventsMax) { fixture.tracer.note("e", in: span.number) }
    fixture.tracer.end(span.number)
    #expect(fixture.ended().first?.events.count == Tracer.eventsMax)
  }

  @Test func spansBeyondTheQueuesLimitAreDroppedAndCounted() throws {
    let fixture = TracerFixture()
    for _ in 0..<(SpanQueue.spansMax + 7) {
      let span = try #require(fixture.tracer.begin("s/M", parent: nil))
      fixture.tracer.end(span.number)
    }
    #expect(fixture.queue.counts.waiting == SpanQueue.spansMax)
    #expect(fixture.queue.counts.dropped == 7)
    #expect(fixture.queue.take(max: 10).count == 10)
    #expect(fixture.queue.counts.waiting == SpanQueue.spansMax - 10)
  }

  @Test func numbersWithoutAnOpenSpanHaveNoEffect() {
    let fixture = TracerFixture()
    fixture.tracer.end(0)
    fixture.tracer.end(77, .ok)
    fixture.tracer.note("e", in: 77)
    fixture.tracer.setOutcome(.ok, of: 77)
    #expect(fixture.tracer.begin("s/N", .client, below: 77) == nil)
    #expect(fixture.ended().isEmpty)
  }
}

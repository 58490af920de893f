// Which calls are traced, what their spans contain, and the limits.

import StatusCodes
import Testing
import Tracing

@Suite("Tracer") struct TracerTests {
  private func caller(sampled: Bool = true) -> TraceContext {
    TraceContext(
      traceID: TraceID(high: 5, low: 6), spanID: 7, flags: sampled ? 1 : 0, state: "a=b")
  }

  // MARK: - Sampling

  @Test("At a ratio of 0 no call is sampled, at 1 each")
  func noneAndAll() {
    let none = TracerFixture(ratio: 0)
    let all = TracerFixture(ratio: 1)
    for _ in 0..<1_000 {
      #expect(!none.tracer.samples())
      #expect(all.tracer.samples())
    }
  }

  @Test("The share of sampled calls is the ratio", arguments: [0.5, 0.1, 0.01])
  func share(ratio: Double) {
    let fixture = TracerFixture(ratio: ratio, random: MixedNumbers(state: 42))
    let calls = 200_000
    let sampled = (0..<calls).count(where: { _ in fixture.tracer.samples() })
    let expected = Double(calls) * ratio
    // Six standard deviations of the binomial distribution; the numbers are the same each time.
    let spread = 6 * (expected * (1 - ratio)).squareRoot()
    #expect(abs(Double(sampled) - expected) < spread)
  }

  @Test("A call after a sampled one has the same chance")
  func independent() {
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

  @Test("A span of a caller's trace has the trace's id and tracestate, and an id of its own")
  func child() throws {
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

  @Test("A trace that begins here is sampled, and its span has no parent")
  func root() throws {
    let fixture = TracerFixture()
    let span = try #require(fixture.tracer.begin("s/M", parent: nil))
    fixture.tracer.end(span.number)
    let ended = try #require(fixture.ended().first)
    #expect(ended.parentID == 0 && ended.context.isSampled && ended.context.traceID.isValid)
  }

  @Test("A span below another has its id as parent; a span may begin before now")
  func below() throws {
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

  @Test("A span that ends with its child has the child's outcome, once")
  func endsWithChild() throws {
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

  @Test("An outcome that was set holds unless the end gives another")
  func outcomeSet() throws {
    let fixture = TracerFixture()
    for outcome in [nil, SpanOutcome.ok] {
      let span = try #require(fixture.tracer.begin("s/M", parent: nil))
      fixture.tracer.setOutcome(SpanOutcome(.notFound), of: span.number)
      fixture.tracer.end(span.number, outcome)
    }
    #expect(fixture.ended().map(\.outcome.code) == [.notFound, .ok])
  }

  @Test(
    "A server's span fails for errors of the server, a client's for each error",
    arguments: [
      (StatusCode.ok, false, false), (.unavailable, true, true), (.notFound, false, true),
      (.invalidArgument, false, true), (.internal, true, true), (.deadlineExceeded, true, true),
      (.resourceExhausted, false, true),
    ])
  func errors(code: StatusCode, server: Bool, client: Bool) throws {
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

  @Test("The number of spans that begin in a second is limited; each second counts anew")
  func perSecond() {
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

  @Test("The number of spans below one is limited; it has the number of those left out")
  func children() throws {
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

  @Test("The number of open spans of a loop is limited")
  func open() throws {
    let fixture = TracerFixture()
    var last: OpenSpan?
    for _ in 0..<Tracer.openMax { last = fixture.tracer.begin("s/M", parent: nil) }
    #expect(last != nil && fixture.tracer.openCount == Tracer.openMax)
    #expect(fixture.tracer.begin("s/M", parent: nil) == nil)
    #expect(fixture.queue.counts.limited == 1)
    fixture.tracer.end(try #require(last).number)
    #expect(fixture.tracer.begin("s/M", parent: nil) != nil)
  }

  @Test("The number of events of a span is limited")
  func events() throws {
    let fixture = TracerFixture()
    let span = try #require(fixture.tracer.begin("s/M", parent: nil))
    for _ in 0..<(2 * Tracer.eventsMax) { fixture.tracer.note("e", in: span.number) }
    fixture.tracer.end(span.number)
    #expect(fixture.ended().first?.events.count == Tracer.eventsMax)
  }

  @Test("Spans beyond the queue's limit are dropped and counted")
  func queue() throws {
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

  @Test("Numbers without an open span have no effect")
  func strangers() {
    let fixture = TracerFixture()
    fixture.tracer.end(0)
    fixture.tracer.end(77, .ok)
    fixture.tracer.note("e", in: 77)
    fixture.tracer.setOutcome(.ok, of: 77)
    #expect(fixture.tracer.begin("s/N", .client, below: 77) == nil)
    #expect(fixture.ended().isEmpty)
  }
}

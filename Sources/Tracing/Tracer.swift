// The spans of one event loop: decides which calls are traced, and keeps their spans until they
// end. An untraced call costs a comparison and a subtraction here. A traced one has an object, a
// number that identifies it wherever the call is passed on (CallContext.span), and an entry in a
// table.
//
// A call is traced if its caller's trace is sampled (`traceparent`), or by chance if it has none,
// and only within the limits. That is decided once, at the first node, so that a trace is complete
// or absent.
//
// Pure; clocks and random numbers are passed in. Belongs to its event loop.

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// The clocks of spans.
package struct TraceClock: Sendable {
  /// Nanoseconds, never going back.
  package let nanos: @Sendable () -> UInt64
  /// Nanoseconds since 1970.
  package let unixNanos: @Sendable () -> UInt64

  package init(
    nanos: @escaping @Sendable () -> UInt64, unixNanos: @escaping @Sendable () -> UInt64
  ) {
    self.nanos = nanos
    self.unixNanos = unixNanos
  }
}

package final class Tracer {
  /// The maximum number of open spans of a loop. Further calls are not traced.
  package static let openMax = 4_096
  /// The maximum number of spans below one at this node: a call on many keys, or a walk over all,
  /// would have thousands. The number of those that were left out is an attribute.
  package static let childrenMax = 128
  /// The maximum number of events of a span.
  package static let eventsMax = 32

  package let settings: TraceSettings
  /// The port of the node's clients, once it is known.
  package var serverAddress: (host: String, port: Int)?
  private let queue: SpanQueue
  private let resource: TraceResource
  private let clock: TraceClock
  private var random: any RandomNumberGenerator
  /// The number of calls before the next sampled one.
  private var untilSample: UInt64 = 0
  private var open: [UInt32: OpenSpan] = [:]
  private var lastNumber: UInt32 = 0

  package init(
    _ settings: TraceSettings, _ queue: SpanQueue, _ resource: TraceResource, clock: TraceClock,
    random: any RandomNumberGenerator
  ) {
    self.settings = settings
    self.queue = queue
    self.resource = resource
    self.clock = clock
    self.random = random
    untilSample = nextDistance()
  }

  /// The number of open spans.
  package var openCount: Int { open.count }

  // MARK: - Sampling

  /// Whether the next call without a caller's trace is traced.
  @inline(__always)
  package func samples() -> Bool {
    guard untilSample == 0 else {
      untilSample &-= 1
      return false
    }
    untilSample = nextDistance()
    return true
  }

  /// The number of calls to leave out. It is geometrically distributed, so that each call has the
  /// same chance, independent of earlier ones.
  private func nextDistance() -> UInt64 {
    let ratio = settings.sampleRatio
    guard ratio > 0 else { return .max }
    guard ratio < 1 else { return 0 }
    // Between 0 and 1, both excluded.
    let uniform = (Double(random.next() >> 11) + 0.5) / Double(UInt64(1) << 53)
    let distance = log(uniform) / log1p(-ratio)
    return distance < 1e18 ? UInt64(distance) : .max
  }

  // MARK: - Spans

  /// Begins the span of an incoming call; nil if a limit is reached.
  ///
  /// - Parameters:
  ///   - name: the call's, with its service.
  ///   - parent: the caller's span; nil: a new trace begins.
  ///   - sinceNanos: when the call arrived, on the clock that never goes back; 0: now.
  package func begin(
    _ name: String, parent: TraceContext?, sinceNanos: UInt64 = 0
  ) -> OpenSpan? {
    let context =
      parent?.with(spanID: randomID())
      ?? .root(TraceID(high: randomID(), low: randomID()), randomID())
    return add(
      name, .server, context, parentID: parent?.spanID ?? 0, below: 0, sinceNanos: sinceNanos)
  }

  /// Begins a span below an open one of this loop; nil if that has ended, or a limit is reached.
  package func begin(
    _ name: String, _ kind: SpanKind, below number: UInt32, sinceNanos: UInt64 = 0
  ) -> OpenSpan? {
    guard let parent = open[number] else { return nil }
    guard parent.childCount < Self.childrenMax else {
      parent.childrenOmitted += 1
      return nil
    }
    let span = add(
      name, kind, parent.context.with(spanID: randomID()), parentID: parent.context.spanID,
      below: number, sinceNanos: sinceNanos)
    if span == nil { parent.childrenOmitted += 1 } else { parent.childCount += 1 }
    return span
  }

  private func add(
    _ name: String, _ kind: SpanKind, _ context: TraceContext, parentID: UInt64,
    below parent: UInt32, sinceNanos: UInt64
  ) -> OpenSpan? {
    let now = clock.nanos()
    guard open.count < Self.openMax else {
      queue.countLimited()
      return nil
    }
    guard queue.admits(nowNanos: now) else { return nil }
    let waited = sinceNanos > 0 && now > sinceNanos ? now - sinceNanos : 0
    let span = OpenSpan(
      number: nextNumber(), context, parentID: parentID, name, kind, below: parent,
      startedNanos: now - waited, startUnixNanos: clock.unixNanos() &- waited)
    open[span.number] = span
    return span
  }

  private func nextNumber() -> UInt32 {
    repeat { lastNumber &+= 1 } while lastNumber == 0 || open[lastNumber] != nil
    return lastNumber
  }

  private func randomID() -> UInt64 {
    while true {
      let id = random.next()
      if id != 0 { return id }
    }
  }

  /// An open span; nil if it has ended.
  package func span(_ number: UInt32) -> OpenSpan? { open[number] }

  /// Adds an event to an open span.
  package func note(_ event: String, in number: UInt32) {
    guard let span = open[number], span.events.count < Self.eventsMax else { return }
    span.events.append(SpanEvent(name: event, unixNanos: unixNanos(of: span)))
  }

  /// Sets the outcome of an open span, unless its end gives another.
  package func setOutcome(_ outcome: SpanOutcome, of number: UInt32) {
    open[number]?.outcome = outcome
  }

  /// Ends a span. Does nothing if it has ended.
  ///
  /// - Parameter outcome: nil: as `setOutcome` has set it, or OK.
  package func end(_ number: UInt32, _ outcome: SpanOutcome? = nil) {
    guard let span = open.removeValue(forKey: number) else { return }
    let outcome = outcome ?? span.outcome ?? .ok
    var attributes = span.attributes + outcome.attributes(span.kind)
    if span.childrenOmitted > 0 {
      attributes.append(SpanAttribute("ringstore.spans_omitted", span.childrenOmitted))
    }
    queue.add(
      Span(
        resource: resource, context: span.context, parentID: span.parentID, name: span.name,
        kind: span.kind, startUnixNanos: span.startUnixNanos, endUnixNanos: unixNanos(of: span),
        attributes: attributes, events: span.events, outcome: outcome))
    if let parent = open[span.parent], parent.endsWithChild { end(span.parent, outcome) }
  }

  /// The current time, measured from the span's beginning with the clock that never goes back.
  private func unixNanos(of span: OpenSpan) -> UInt64 {
    span.startUnixNanos &+ nanos(of: span)
  }

  /// The time since a span's beginning.
  package func nanos(of span: OpenSpan) -> UInt64 {
    let now = clock.nanos()
    return now > span.startedNanos ? now - span.startedNanos : 0
  }
}

/// A span that has not ended. Belongs to its tracer and the tracer's loop.
package final class OpenSpan {
  /// Identifies it within its loop; never 0.
  package let number: UInt32
  /// The context that other nodes are sent for their spans below it.
  package let context: TraceContext
  let parentID: UInt64
  let name: String
  let kind: SpanKind
  /// The number of the span above it in the same loop; 0: none.
  let parent: UInt32
  let startedNanos: UInt64
  let startUnixNanos: UInt64
  package var attributes: [SpanAttribute] = []
  var events: [SpanEvent] = []
  var outcome: SpanOutcome?
  var childCount = 0
  var childrenOmitted = 0
  /// The number of spans that were to begin below it, also of those that a limit has left out.
  package var childrenWanted: Int { childCount + childrenOmitted }
  /// Whether it ends together with its one child. For a call whose end is not reported in another
  /// way.
  package var endsWithChild = false

  init(
    number: UInt32, _ context: TraceContext, parentID: UInt64, _ name: String, _ kind: SpanKind,
    below parent: UInt32, startedNanos: UInt64, startUnixNanos: UInt64
  ) {
    self.number = number
    self.context = context
    self.parentID = parentID
    self.name = name
    self.kind = kind
    self.parent = parent
    self.startedNanos = startedNanos
    self.startUnixNanos = startUnixNanos
  }
}

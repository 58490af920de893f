// The spans of one event loop: which calls are traced, and what is known of them while they are
// under way. A call that isn't traced costs a comparison and a subtraction here; one that is has an
// object, a number by which it is named where calls are handed on (CallContext.span), and an entry
// in a table.
//
// A call is traced where its caller says so (a `traceparent` that is sampled), or else by lot, and
// only as far as the bounds allow. That is decided once, where it comes in, so that a tree of spans
// is whole or not there.
//
// Pure; the clocks and the random numbers come from outside. Belongs to its event loop.

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// Time, for spans.
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
  /// Spans of a loop that may be under way. Calls that come past it are not traced.
  package static let openMax = 4_096
  /// Spans that may be below one at this node: a call on many keys, or a walk over all, would have
  /// thousands. How many there were beside them is an attribute.
  package static let childrenMax = 128
  /// Events of a span.
  package static let eventsMax = 32

  package let settings: TraceSettings
  /// The port that the node's clients use, once it is known.
  package var serverAddress: (host: String, port: Int)?
  private let queue: SpanQueue
  private let resource: TraceResource
  private let clock: TraceClock
  private var random: any RandomNumberGenerator
  /// Calls until the next one is traced by lot.
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

  /// Spans under way.
  package var openCount: Int { open.count }

  // MARK: - Which calls are traced

  /// Whether the lot falls on the next call.
  @inline(__always)
  package func draws() -> Bool {
    guard untilSample == 0 else {
      untilSample &-= 1
      return false
    }
    untilSample = nextDistance()
    return true
  }

  /// How many calls are passed over: geometrically distributed, so that each call has the same
  /// chance whatever came before it.
  private func nextDistance() -> UInt64 {
    let ratio = settings.sampleRatio
    guard ratio > 0 else { return .max }
    guard ratio < 1 else { return 0 }
    // Between 0 and 1, and neither.
    let uniform = (Double(random.next() >> 11) + 0.5) / Double(UInt64(1) << 53)
    let distance = log(uniform) / log1p(-ratio)
    return distance < 1e18 ? UInt64(distance) : .max
  }

  // MARK: - Spans

  /// Begins the span of a call that comes in; nil: the bounds don't allow it.
  ///
  /// - Parameters:
  ///   - name: the call's, with its service.
  ///   - parent: the caller's span; nil: a new trace begins.
  ///   - sinceNanos: when the call came, on the clock; 0: now.
  package func begin(
    _ name: String, parent: TraceContext?, sinceNanos: UInt64 = 0
  ) -> OpenSpan? {
    let context =
      parent?.with(spanID: randomID())
      ?? .root(TraceID(high: randomID(), low: randomID()), randomID())
    return add(
      name, .server, context, parentID: parent?.spanID ?? 0, below: nil, sinceNanos: sinceNanos)
  }

  /// Begins a span below one of this loop; nil where that isn't under way, or the bounds don't
  /// allow it.
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
      below: parent, sinceNanos: sinceNanos)
    if span == nil { parent.childrenOmitted += 1 } else { parent.childCount += 1 }
    return span
  }

  private func add(
    _ name: String, _ kind: SpanKind, _ context: TraceContext, parentID: UInt64,
    below parent: OpenSpan?, sinceNanos: UInt64
  ) -> OpenSpan? {
    let now = clock.nanos()
    guard open.count < Self.openMax, queue.admits(nowNanos: now) else {
      queue.refused()
      return nil
    }
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

  /// A span under way; nil where it has ended.
  package func span(_ number: UInt32) -> OpenSpan? { open[number] }

  /// Something has happened within a span.
  package func note(_ event: String, in number: UInt32) {
    guard let span = open[number], span.events.count < Self.eventsMax else { return }
    span.events.append(SpanEvent(name: event, unixNanos: unixNanos(of: span)))
  }

  /// Says how a span will have ended, unless its end says otherwise.
  package func tell(_ outcome: SpanOutcome, of number: UInt32) {
    open[number]?.outcome = outcome
  }

  /// Ends a span. Does nothing where it has ended.
  ///
  /// - Parameter outcome: nil: as was told, or well.
  package func end(_ number: UInt32, _ outcome: SpanOutcome? = nil) {
    guard let span = open.removeValue(forKey: number) else { return }
    let outcome = outcome ?? span.outcome ?? .ok
    var attributes = span.attributes
    attributes.append(SpanAttribute("rpc.grpc.status_code", outcome.code.rawValue))
    if let reason = outcome.reason { attributes.append(SpanAttribute("ringstore.reason", reason)) }
    if span.childrenOmitted > 0 {
      attributes.append(SpanAttribute("ringstore.spans_omitted", span.childrenOmitted))
    }
    queue.add(
      Span(
        resource: resource, context: span.context, parentID: span.parentID, name: span.name,
        kind: span.kind, startUnixNanos: span.startUnixNanos, endUnixNanos: unixNanos(of: span),
        attributes: attributes, events: span.events, outcome: outcome))
    if let parent = span.parent, parent.endsWithChild { end(parent.number, outcome) }
  }

  /// Now, as far from the span's beginning as the clock that never goes back says.
  private func unixNanos(of span: OpenSpan) -> UInt64 {
    let now = clock.nanos()
    return span.startUnixNanos &+ (now > span.startedNanos ? now - span.startedNanos : 0)
  }

  /// How long a span has been under way.
  package func nanos(of span: OpenSpan) -> UInt64 {
    let now = clock.nanos()
    return now > span.startedNanos ? now - span.startedNanos : 0
  }
}

/// A span under way. Belongs to its tracer and the tracer's loop.
package final class OpenSpan {
  /// Names it within its loop; never 0.
  package let number: UInt32
  /// What children elsewhere are told.
  package let context: TraceContext
  let parentID: UInt64
  let name: String
  let kind: SpanKind
  private(set) weak var parent: OpenSpan?
  let startedNanos: UInt64
  let startUnixNanos: UInt64
  package var attributes: [SpanAttribute] = []
  var events: [SpanEvent] = []
  var outcome: SpanOutcome?
  var childCount = 0
  var childrenOmitted = 0
  /// Whether it ends as its one child does: a call of which nothing else tells the end.
  package var endsWithChild = false

  init(
    number: UInt32, _ context: TraceContext, parentID: UInt64, _ name: String, _ kind: SpanKind,
    below parent: OpenSpan?, startedNanos: UInt64, startUnixNanos: UInt64
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

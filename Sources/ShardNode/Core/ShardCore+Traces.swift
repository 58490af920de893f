// The spans of traced calls at a shard: below that of the router's sub-request, or of a client's
// call on the shard itself. How long a call waited for its turn is an attribute, that its reply
// waits for the log is an event, and the span ends when the reply may leave.
//
// Calls that aren't traced have the number 0: all that they cost here is a comparison.
//
// The core's event loop.

import Commands
import NodeCore
import RingstoreAPI
import Tracing

extension ShardCore {
  /// Begins the span of a call that a router has traced. Returns its number; 0: it isn't traced
  /// here.
  @inline(never)
  func beginSpan(of call: LinkV1.LinkCall, _ context: CallContext) -> UInt32 {
    guard let tracer, let parent = TraceContext(encoded: call.traceContext) else { return 0 }
    let name = CallName(method: call.method)
    guard
      let span = tracer.begin(name.description, parent: parent, sinceNanos: context.nowNanos)
    else { return 0 }
    span.attributes = [
      SpanAttribute("rpc.system", "grpc"), SpanAttribute("rpc.service", name.service),
      SpanAttribute("rpc.method", name.method), SpanAttribute("ringstore.shard", id),
      SpanAttribute("rpc.request.bytes", call.request.count),
    ]
    if let target = try? CommandTable.keyFields(ofMethod: call.method)?.find(in: call.request) {
      span.attributes.append(SpanAttribute("ringstore.database", target.database))
    }
    // Slices wait for their turn first.
    if call.method < InternalMethod.firstNumber { spanBegins(span.number) }
    return span.number
  }

  /// A traced call is about to be executed.
  func spanBegins(_ number: UInt32) {
    guard let tracer, let span = tracer.span(number) else { return }
    span.attributes.append(SpanAttribute("ringstore.queue_nanos", tracer.nanos(of: span)))
  }

  /// A traced call was executed, and its reply has been written, or waits at the gate.
  @inline(never)
  func answered(_ number: UInt32) {
    guard gate.holds(latestMark) else {
      tracer?.end(number)
      return
    }
    tracer?.note("waits for the log", in: number)
    gate.wait(TracedReply(number, self), for: latestMark)
  }
}

/// The reply of a traced call that is held in a frame with others: stands at the gate beside it.
private final class TracedReply: GateWaiter {
  private let span: UInt32
  private unowned let core: ShardCore
  private(set) var isHeld = true

  init(_ span: UInt32, _ core: ShardCore) {
    self.span = span
    self.core = core
  }

  func gateOpened() {
    isHeld = false
    core.tracer?.end(span)
  }

  func gateGaveUp() {
    isHeld = false
    core.tracer?.end(span, SpanOutcome(.unavailable))
  }
}

// The spans of traced calls at a shard, below the span of the router's sub-request. (The span of a
// client's own call is made by Front.) The time before the execution is an attribute, a wait for
// the log is an event, and the span ends when the reply may be sent.
//
// Untraced calls have the number 0, and cost a comparison here.
//
// The core's event loop.

import Commands
import NodeCore
import RingstoreAPI
import Tracing
import Users

extension ShardCore {
  /// Begins the span of a call that the router traces. Returns its number; 0: it isn't traced here.
  @inline(never)
  func beginSpan(of call: LinkV1.LinkCall, _ context: CallContext) -> UInt32 {
    guard let tracer, let parent = TraceContext(encoded: call.traceContext), parent.isSampled else {
      return 0
    }
    let name = CallName(method: call.method)
    guard let span = tracer.begin(name.text, parent: parent, sinceNanos: context.nowNanos) else {
      return 0
    }
    span.attributes = name.attributes(.server)
    span.attributes += [
      SpanAttribute("ringstore.shard", id),
      SpanAttribute("ringstore.request_bytes", call.request.count),
    ]
    if let target = try? CommandTable.keyFields(ofMethod: call.method)?.find(in: call.request) {
      span.describe(database: target.database)
      if tracer.settings.hasKeyDigests {
        span.attributes.append(
          SpanAttribute("ringstore.key_digest", KeyDigest.text(target.key)))
      }
    }
    // Slices wait for their turn first.
    if call.method < InternalMethod.firstNumber { executes(span.number) }
    return span.number
  }

  /// The execution of a traced call begins.
  func executes(_ number: UInt32) {
    guard let tracer, let span = tracer.span(number) else { return }
    span.attributes.append(SpanAttribute("ringstore.queue_nanos", tracer.nanos(of: span)))
  }

  /// A traced call was executed. Called before its reply passes the gate, so that the decision is
  /// the same as that of `HeldReplies.take`.
  @inline(never)
  func replied(_ number: UInt32, _ method: UInt32) {
    guard gate.holds(latestMark) else {
      tracer?.end(number)
      return
    }
    let isWrite = SubRequest.isWrite(method: method)
    if gate.isFull, !isWrite {
      tracer?.end(number, SpanOutcome(of: CallError.heldTooMuch(limits)))
      return
    }
    tracer?.note("waits for the log", in: number)
    gate.wait(TracedReply(number, isWrite: isWrite, self), for: latestMark)
  }
}

/// Ends the span of a call whose reply is held in a frame with others: it is held for the same
/// mark.
private final class TracedReply: GateWaiter {
  private let span: UInt32
  private let isWrite: Bool
  private unowned let core: ShardCore
  private(set) var isHeld = true

  init(_ span: UInt32, isWrite: Bool, _ core: ShardCore) {
    self.span = span
    self.isWrite = isWrite
    self.core = core
  }

  func gateOpened() {
    isHeld = false
    core.tracer?.end(span)
  }

  func gateGaveUp() {
    isHeld = false
    core.tracer?.end(span, SpanOutcome(of: CallError.givenUp(isWrite: isWrite, core.id)))
  }
}

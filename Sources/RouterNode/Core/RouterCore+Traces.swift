// The spans of traced calls between router and shard: one for each sub-request, below the span of
// the client's call. It begins when the call is submitted, so it includes waits, and ends when the
// caller gets the outcome or has disconnected. The shard gets its context in `trace_context`.
//
// Untraced calls have the number 0, and cost a comparison here.
//
// The core's event loop.

import NIOCore
import NodeCore
import RingstoreAPI
import TextForms
import Tracing

extension RouterCore {
  /// Begins the span of a sub-request. Returns its number; 0: it isn't traced.
  ///
  /// - Parameter number: of the span of the client's call.
  @inline(never)
  func beginSpan(
    below number: UInt32, _ method: UInt32, slot: UInt16, _ lane: LinkLane, bytes: Int
  ) -> UInt32 {
    guard let tracer, let parent = tracer.span(number) else { return 0 }
    let name = CallName(method: method)
    guard let span = tracer.begin(name.text, .client, below: number) else {
      // A limit is reached. A span that ends with its child takes the child's place.
      return parent.endsWithChild ? number : 0
    }
    span.attributes = name.attributes(.client)
    span.attributes += [
      SpanAttribute("ringstore.request_bytes", bytes),
      SpanAttribute("ringstore.lane", lane.rawValue),
    ]
    if slot != Self.noSlot { span.attributes.append(SpanAttribute("ringstore.slot", slot)) }
    return span.number
  }

  /// The context that the shard gets; nil: the call isn't traced.
  func traceContext(of number: UInt32) -> ByteBuffer? {
    guard number != 0, let span = tracer?.span(number) else { return nil }
    return ByteBuffer(bytes: span.context.encoded)
  }

  /// Adds an event to the span of a call.
  @inline(__always)
  func note(_ event: @autoclosure () -> String, of call: borrowing PendingCall<Caller>) {
    if call.span != 0 { tracer?.note(event(), in: call.span) }
  }

  /// Ends the span of a call whose caller gets the outcome, or has disconnected. Does nothing if it
  /// has ended.
  ///
  /// - Parameter error: nil: the call has succeeded.
  @inline(__always)
  func endSpan(
    _ call: borrowing PendingCall<Caller>, _ error: @autoclosure () -> CallError?,
    replyBytes: Int = 0
  ) {
    if call.span != 0 { endSpan(call.span, at: call.shard, error(), replyBytes: replyBytes) }
  }

  @inline(never)
  private func endSpan(_ number: UInt32, at shard: Int, _ error: CallError?, replyBytes: Int) {
    guard let tracer, let span = tracer.span(number) else { return }
    // Added at the end, because the call may have moved to another shard since its beginning.
    span.attributes.append(SpanAttribute("ringstore.shard", links[shard].shardID))
    span.attributes.append(SpanAttribute("ringstore.response_bytes", replyBytes))
    if let address = HostPort(links[shard].address), !span.endsWithChild {
      span.attributes.append(SpanAttribute("server.address", address.host))
      span.attributes.append(SpanAttribute("server.port", address.port))
    }
    tracer.end(number, SpanOutcome(of: error))
  }

  // MARK: - Calls that are made of sub-requests

  /// The number of spans that sub-requests of a call have begun; -1: it isn't traced.
  @inline(__always)
  func spansWanted(_ fanout: Fanout) -> Int {
    fanout.context.span == 0 ? -1 : tracer?.span(fanout.context.span)?.childrenWanted ?? -1
  }

  /// Makes the span of a sub-request that was refused before its span began.
  @inline(never)
  func tracePart(
    _ part: SubRequest, of fanout: Fanout, slot: UInt16, at shard: Int, bytes: Int,
    _ error: CallError
  ) {
    let number = beginSpan(
      below: fanout.context.span, part.method, slot: slot, part.lane, bytes: bytes)
    if number != 0, number != fanout.context.span {
      endSpan(number, at: shard, error, replyBytes: 0)
    }
  }

  /// Adds to the call's span how many sub-requests failed, and why the first did. The call itself
  /// may succeed nevertheless, as one on many keys does.
  @inline(never)
  func noteFailures(of fanout: Fanout) {
    guard let error = fanout.firstFailure, let span = tracer?.span(fanout.context.span) else {
      return
    }
    span.attributes.append(SpanAttribute("ringstore.parts_failed", fanout.failures))
    span.attributes.append(
      SpanAttribute("ringstore.parts_failed_reason", error.reason?.rawValue ?? error.code.name))
  }

  /// Ends the span of a call that was refused before it had a sub-request, if the sub-request's end
  /// would have ended it.
  @inline(never)
  func refused(_ number: UInt32, _ error: CallError) {
    guard let tracer, let span = tracer.span(number), span.endsWithChild else { return }
    tracer.end(number, SpanOutcome(of: error))
  }
}

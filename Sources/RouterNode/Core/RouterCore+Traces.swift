// The spans of traced calls on their way to a shard and back: one for each sub-request, below the
// span of the client's call. It begins when the call is taken, so what it waits for is in it, and
// ends when the caller is told, or has gone. Shards are told its context in `trace_context`.
//
// Calls that aren't traced have the number 0: all that they cost here is a comparison.
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
  /// - Parameter number: of the client's call's.
  @inline(never)
  func beginSpan(
    below number: UInt32, _ method: UInt32, slot: UInt16, _ lane: LinkLane, bytes: Int
  ) -> UInt32 {
    let name = CallName(method: method)
    guard let span = tracer?.begin(name.description, .client, below: number) else { return 0 }
    span.attributes = [
      SpanAttribute("rpc.system", "grpc"), SpanAttribute("rpc.service", name.service),
      SpanAttribute("rpc.method", name.method), SpanAttribute("rpc.request.bytes", bytes),
      SpanAttribute("ringstore.lane", lane.rawValue),
    ]
    if slot != Self.noSlot { span.attributes.append(SpanAttribute("ringstore.slot", slot)) }
    return span.number
  }

  /// What a shard is told; nil: the call isn't traced.
  func traceContext(of number: UInt32) -> ByteBuffer? {
    guard number != 0, let span = tracer?.span(number) else { return nil }
    return ByteBuffer(bytes: span.context.encoded)
  }

  /// Something has happened to a call.
  @inline(__always)
  func note(_ event: @autoclosure () -> String, of call: borrowing PendingCall<Caller>) {
    if call.span != 0 { tracer?.note(event(), in: call.span) }
  }

  /// The caller of a call is told how it has ended, or is gone.
  ///
  /// - Parameter error: nil: it has ended well.
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
    // As late as this, because the call may have gone to another shard than it began with.
    span.attributes.append(SpanAttribute("ringstore.shard", links[shard].shardID))
    span.attributes.append(SpanAttribute("rpc.response.bytes", replyBytes))
    if let address = HostPort(links[shard].address) {
      span.attributes.append(SpanAttribute("server.address", address.host))
      span.attributes.append(SpanAttribute("server.port", address.port))
    }
    tracer.end(number, SpanOutcome(of: error))
  }

  /// A traced call was refused before there was a sub-request, which would have ended its span.
  @inline(never)
  func refused(_ number: UInt32, _ error: CallError) {
    guard let tracer, let span = tracer.span(number), span.endsWithChild else { return }
    tracer.end(number, SpanOutcome(of: error))
  }
}

// Which clients' calls are traced, and what their spans say. A caller's `traceparent` decides where
// there is one; calls without one are drawn by lot, those that come as lines as well. A Pipeline
// has one context for all of its calls:
//
//   its caller's trace is sampled: a span for the stream, and below it one for the first call of
//     each batch (a message may hold thousands, and they are alike);
//   it isn't sampled: none;
//   there is none: calls are drawn by lot, each in a trace of its own.
//
// Event loop of the node.

import Commands
import GRPC
import LegacyServices
import NodeCore
import RingstoreAPI
import TextForms
import Tracing
import Users

/// How calls of a Pipeline are traced.
enum PipelineTracing: Equatable {
  case off
  case below(UInt32)
  case byLot
}

extension Front {
  // MARK: - Calls of gRPC

  /// Begins the span of a client's call, which ends with the call. Returns its number; 0: the call
  /// isn't traced.
  @inline(never)
  func trace(_ call: ServerCall, _ message: UnsafeRawBufferPointer?) -> UInt32 {
    guard let tracer else { return 0 }
    let parent = Self.parent(of: call)
    guard parent?.isSampled ?? tracer.draws() else { return 0 }
    return begin(parent, call, message, tracer)
  }

  /// How calls of a Pipeline that begins are traced.
  func tracePipeline(_ call: ServerCall) -> PipelineTracing {
    guard let tracer else { return .off }
    guard let parent = Self.parent(of: call) else {
      return tracer.settings.sampleRatio > 0 ? .byLot : .off
    }
    guard parent.isSampled else { return .off }
    let number = begin(parent, call, nil, tracer)
    return number == 0 ? .off : .below(number)
  }

  private func begin(
    _ parent: TraceContext?, _ call: ServerCall, _ message: UnsafeRawBufferPointer?,
    _ tracer: Tracer
  ) -> UInt32 {
    guard let rpc = Self.rpc(of: call.methodID),
      let span = tracer.begin(
        rpc.spanName, parent: parent, sinceNanos: dispatcher.flusher.scheduler.tickNanos)
    else { return 0 }
    span.describe(rpc, system: "grpc", peer: call.connection?.remoteAddress, tracer)
    if let message { span.describe(message, of: rpc, tracer) }
    let number = span.number
    call.whenEnded { tracer.end(number, SpanOutcome(of: $0)) }
    return number
  }

  /// What the caller says; nil: nothing, or nothing that the standard knows.
  private static func parent(of call: ServerCall) -> TraceContext? {
    let fields = call.metadataValues("traceparent")
    guard fields.count == 1, let parent = TraceContext(traceparent: fields[0]) else { return nil }
    guard parent.isSampled else { return parent }
    return TraceContext(
      traceparent: fields[0], state: TraceContext.state(call.metadataValues("tracestate")))
  }

  private static func rpc(of methodID: Int) -> RPC? {
    if let legacy = LegacyMethod(rawValue: methodID) { return legacy.rpc }
    return CommandID(rawValue: methodID).flatMap { CommandTable.command($0)?.rpc }
  }

  // MARK: - Calls of a Pipeline

  /// Begins the span of a call of a Pipeline, where it is traced. Who executes the call ends it.
  func trace(
    _ next: V1.Call, _ tracing: PipelineTracing, isFirst: Bool, peer: String?
  ) -> OpenSpan? {
    // Asked for each call: what is looked up for a span comes later.
    guard let tracer, tracing == .byLot ? tracer.draws() : isFirst,
      let rpc = Self.rpc(of: Int(next.methodNumber))
    else { return nil }
    let since = dispatcher.flusher.scheduler.tickNanos
    let begun: OpenSpan? =
      switch tracing {
      case .off: nil
      case .below(let number):
        tracer.begin(rpc.spanName, .server, below: number, sinceNanos: since)
      case .byLot: tracer.begin(rpc.spanName, parent: nil, sinceNanos: since)
      }
    guard let span = begun else { return nil }
    span.describe(rpc, system: "grpc", peer: peer, tracer)
    span.describe(next.request, of: rpc, tracer)
    span.attributes.append(SpanAttribute("ringstore.pipeline", .flag(true)))
    return span
  }

  // MARK: - Calls from within

  /// Begins the span of a call made from within, where the lot falls on it.
  @inline(never)
  func trace(_ call: LocalCall, _ request: (any KeyedCall)?, _ context: inout CallContext) {
    guard let tracer, context.span == 0, let caller = call.caller, caller.isTracedByLot,
      tracer.draws()
    else { return }
    let rpc = call.command.rpc
    guard
      let span = tracer.begin(
        rpc.spanName, parent: nil, sinceNanos: dispatcher.flusher.scheduler.tickNanos)
    else { return }
    span.describe(rpc, system: "ringstore.line", peer: caller.peer, tracer)
    if let request {
      span.attributes.append(SpanAttribute("ringstore.database", request.database))
      span.describe(key: request.key, tracer)
    }
    let number = span.number
    call.whenEnded { tracer.end(number, SpanOutcome(of: $0)) }
    context.span = number
  }
}

// MARK: - What spans say

extension RPC {
  /// "ringstore.v1.KeyStore/Get".
  fileprivate var spanName: String { String(path.dropFirst()) }
}

extension OpenSpan {
  fileprivate func describe(_ rpc: RPC, system: String, peer: String?, _ tracer: Tracer) {
    attributes += [
      SpanAttribute("rpc.system", system), SpanAttribute("rpc.service", rpc.service),
      SpanAttribute("rpc.method", rpc.name),
    ]
    if let server = tracer.serverAddress {
      attributes.append(SpanAttribute("server.address", server.host))
      attributes.append(SpanAttribute("server.port", server.port))
    }
    guard let peer else { return }
    if let client = HostPort(peer) {
      attributes.append(SpanAttribute("client.address", client.host))
      attributes.append(SpanAttribute("client.port", client.port))
    } else if !peer.isEmpty {
      attributes.append(SpanAttribute("client.address", peer))
    }
  }

  /// What the request says of its key.
  fileprivate func describe(
    _ message: UnsafeRawBufferPointer, of rpc: RPC, _ tracer: Tracer
  ) {
    attributes.append(SpanAttribute("rpc.request.bytes", message.count))
    guard let target = try? rpc.keyFields?.find(in: message) else { return }
    attributes.append(SpanAttribute("ringstore.database", target.database))
    describe(key: target.key, tracer)
  }

  fileprivate func describe(key: UnsafeRawBufferPointer, _ tracer: Tracer) {
    guard tracer.settings.hasKeyDigests else { return }
    attributes.append(SpanAttribute("ringstore.key_digest", KeyDigest.text(key)))
  }
}

extension SpanOutcome {
  /// How a client's call has ended.
  fileprivate init(of status: RPCStatus) {
    let error = CallError(code: status.code, message: status.message, details: status.details)
    self.init(status.code, reason: error.reason?.rawValue)
  }
}

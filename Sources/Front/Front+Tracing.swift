// Decides which clients' calls are traced, and makes their spans. If a call has a `traceparent`,
// that decides; other calls are sampled, and so are commands on the line port. All calls of a
// Pipeline share one `traceparent`:
//
//   sampled: a span for the stream, and below it one for the first call of each batch (a message
//     may contain thousands of similar calls);
//   not sampled: no spans;
//   none: calls are sampled one by one, each begins a trace.
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
  /// The first call of each batch, below the span with this number.
  case firstOfBatch(UInt32)
  case sampled
}

extension Front {
  // MARK: - Calls of gRPC

  /// Begins the span of a client's call, which ends with the call. Returns its number; 0: the call
  /// isn't traced.
  @inline(never)
  func trace(_ call: ServerCall, _ message: UnsafeRawBufferPointer?) -> UInt32 {
    guard let tracer else { return 0 }
    let parent = Self.parent(of: call)
    guard parent?.isSampled ?? tracer.samples() else { return 0 }
    return begin(parent, call, message, tracer)
  }

  /// How calls of a Pipeline that begins are traced.
  func tracePipeline(_ call: ServerCall) -> PipelineTracing {
    guard let tracer else { return .off }
    guard let parent = Self.parent(of: call) else {
      return tracer.settings.sampleRatio > 0 ? .sampled : .off
    }
    guard parent.isSampled else { return .off }
    let number = begin(parent, call, nil, tracer)
    return number == 0 ? .off : .firstOfBatch(number)
  }

  private func begin(
    _ parent: TraceContext?, _ call: ServerCall, _ message: UnsafeRawBufferPointer?,
    _ tracer: Tracer
  ) -> UInt32 {
    guard let (name, rpc) = Self.method(call.methodID),
      let span = tracer.begin(
        name.text, parent: parent, sinceNanos: dispatcher.flusher.scheduler.tickNanos)
    else { return 0 }
    span.describe(name, system: "grpc", peer: call.connection?.remoteAddress, tracer)
    if let message { span.describe(message, of: rpc, tracer) }
    let number = span.number
    call.whenEnded { tracer.end(number, SpanOutcome(of: $0)) }
    return number
  }

  /// The caller's span; nil: there is no `traceparent`, or it is malformed.
  private static func parent(of call: ServerCall) -> TraceContext? {
    let fields = call.metadataValues("traceparent")
    guard fields.count == 1, let parent = TraceContext(traceparent: fields[0]) else { return nil }
    guard parent.isSampled else { return parent }
    return TraceContext(
      traceparent: fields[0], state: TraceContext.state(call.metadataValues("tracestate")))
  }

  private static func method(_ methodID: Int) -> (name: CallName, rpc: RPC)? {
    if let legacy = LegacyMethod(rawValue: methodID) { return (CallName(legacy.rpc), legacy.rpc) }
    return CommandID(rawValue: methodID).flatMap { CommandTable.command($0) }
      .map { (CallName($0), $0.rpc) }
  }

  // MARK: - Calls of a Pipeline

  /// Begins the span of a call of a Pipeline, if it is traced. The node that executes the call ends
  /// the span.
  ///
  /// - Parameters:
  ///   - isFirst: whether it is the first call of its batch.
  ///   - sinceNanos: when its batch arrived.
  func trace(
    _ next: V1.Call, _ tracing: PipelineTracing, isFirst: Bool, sinceNanos: UInt64, peer: String?
  ) -> OpenSpan? {
    guard let tracer, tracing == .sampled ? tracer.samples() : isFirst,
      let (name, rpc) = Self.method(Int(next.methodNumber))
    else { return nil }
    let begun: OpenSpan? =
      switch tracing {
      case .off: nil
      case .firstOfBatch(let number):
        tracer.begin(name.text, .server, below: number, sinceNanos: sinceNanos)
      case .sampled: tracer.begin(name.text, parent: nil, sinceNanos: sinceNanos)
      }
    guard let span = begun else { return nil }
    span.describe(name, system: "grpc", peer: peer, tracer)
    span.describe(next.request, of: rpc, tracer)
    span.attributes.append(SpanAttribute("ringstore.pipeline", .flag(true)))
    return span
  }

  // MARK: - Local calls

  /// Begins the span of a local call, if it is sampled. It ends with the call.
  @inline(never)
  func trace(_ call: LocalCall, _ request: (any KeyedCall)?, _ context: inout CallContext) {
    guard let tracer, context.span == 0, let caller = call.caller, caller.samplesCalls,
      tracer.samples()
    else { return }
    let name = CallName(call.command)
    guard
      let span = tracer.begin(
        name.text, parent: nil, sinceNanos: dispatcher.flusher.scheduler.tickNanos)
    else { return }
    span.describe(name, system: "ringstore.line", peer: caller.peer, tracer)
    if let request {
      span.attributes.append(SpanAttribute("ringstore.request_bytes", request.byteCount))
      span.describe(database: request.database)
      span.describe(key: request.key, tracer)
    }
    let number = span.number
    call.whenEnded { tracer.end(number, SpanOutcome(of: $0)) }
    context.span = number
  }
}

// MARK: - Attributes

extension OpenSpan {
  fileprivate func describe(_ name: CallName, system: String, peer: String?, _ tracer: Tracer) {
    attributes += name.attributes(.server, system: system)
    if let server = tracer.serverAddress {
      // A node that listens on all addresses doesn't know which one the client has used.
      if !["0.0.0.0", "::"].contains(server.host) {
        attributes.append(SpanAttribute("server.address", server.host))
      }
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

  fileprivate func describe(
    _ message: UnsafeRawBufferPointer, of rpc: RPC, _ tracer: Tracer
  ) {
    attributes.append(SpanAttribute("ringstore.request_bytes", message.count))
    guard let target = try? rpc.keyFields?.find(in: message) else { return }
    describe(database: target.database)
    describe(key: target.key, tracer)
  }

  fileprivate func describe(key: UnsafeRawBufferPointer, _ tracer: Tracer) {
    guard tracer.settings.hasKeyDigests else { return }
    attributes.append(SpanAttribute("ringstore.key_digest", KeyDigest.text(key)))
  }
}

extension SpanOutcome {
  /// The outcome of a client's call.
  fileprivate init(of status: RPCStatus) {
    let error = CallError(code: status.code, message: status.message, details: status.details)
    self.init(status.code, reason: error.reason?.rawValue)
  }
}

// The trace that calls belong to, sent to the nodes by W3C Trace Context. A value; any thread.

internal import GRPC

/// The program's span that calls are a part of. A node that exports traces (`trace_endpoint`)
/// continues its trace if it is sampled.
///
/// With swift-distributed-tracing, inject the current context into a value:
///
///     struct Injector: Instrumentation.Injector {
///       typealias Carrier = RingstoreTraceContext
///       func inject(_ value: String, forKey key: String, into carrier: inout Carrier) {
///         if key == "traceparent" { carrier.traceparent = value }
///         if key == "tracestate" { carrier.tracestate = value }
///       }
///     }
public struct RingstoreTraceContext: Sendable, Hashable {
  /// `00-TRACE-SPAN-01` with 32 and 16 hexadecimal digits, `-00` at the end if it isn't sampled. An
  /// empty one is not sent.
  public var traceparent: String
  /// Data of tracing systems; nil: none.
  public var tracestate: String?

  public init(traceparent: String, tracestate: String? = nil) {
    self.traceparent = traceparent
    self.tracestate = tracestate
  }
}

extension RingstoreClient {
  /// The metadata of a call.
  func metadata(_ options: RingstoreCallOptions) -> Metadata {
    var metadata = Metadata()
    guard let trace = options.traceContext ?? configuration.traceContext,
      !trace.traceparent.isEmpty
    else { return metadata }
    // Values that a header can't contain are left out: a call doesn't fail because of its trace.
    metadata.add("traceparent", trace.traceparent)
    if let state = trace.tracestate, !state.isEmpty { metadata.add("tracestate", state) }
    return metadata
  }
}

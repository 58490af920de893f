// Which trace calls belong to: passed on to the nodes as W3C Trace Context has it. A value; any
// thread.

internal import GRPC

/// The span of the program's own that calls are a part of. A node that exports traces
/// (`trace_endpoint`) follows it where it is sampled.
///
/// With swift-distributed-tracing, inject the current context into one:
///
///     struct Injector: Instrumentation.Injector {
///       func inject(_ value: String, forKey key: String, into context: inout RingstoreTraceContext) {
///         if key == "traceparent" { context.traceparent = value }
///         if key == "tracestate" { context.tracestate = value }
///       }
///     }
public struct RingstoreTraceContext: Sendable, Hashable {
  /// `00-`, the trace, `-`, the span, `-01` where it is sampled; an empty one is not sent.
  public var traceparent: String
  /// What tracing systems add to it; nil: nothing.
  public var tracestate: String?

  public init(traceparent: String, tracestate: String? = nil) {
    self.traceparent = traceparent
    self.tracestate = tracestate
  }
}

extension RingstoreClient {
  /// What a call bears beside its request.
  func metadata(_ options: RingstoreCallOptions) -> Metadata {
    var metadata = Metadata()
    guard let trace = options.traceContext ?? configuration.traceContext,
      !trace.traceparent.isEmpty
    else { return metadata }
    // What no header can hold is left out: a call doesn't fail because of its trace.
    metadata.add("traceparent", trace.traceparent)
    if let state = trace.tracestate, !state.isEmpty { metadata.add("tracestate", state) }
    return metadata
  }
}

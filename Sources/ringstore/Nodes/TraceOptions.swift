// The flags of all nodes about traces.

import ArgumentParser

/// The flags of traces.
struct TraceOptions: ParsableArguments {
  @Option(
    help: "Where spans go, an OTLP/HTTP URL: http://127.0.0.1:4318/v1/traces. (default: off)")
  var traceEndpoint: String?

  @Option(
    name: .customLong("trace-ca"),
    help: "The authority that has signed an https collector's certificate. (default: the system's)")
  var traceCA: String?

  @Option(
    parsing: .unconditional,
    help: "Of calls without a traceparent, how many are traced: 0 to 1. (default: 0)")
  var traceSampleRatio: String?

  @Option(
    parsing: .unconditional,
    help: "Spans that are begun in a second at most. (default: 1000)")
  var traceSpansPerSecond: String?

  @Option(help: "What spans say of keys: none or digest. (default: none)")
  var traceKeys: String?

  var flags: [Setting: [String]] {
    [
      .traceEndpoint: given(traceEndpoint), .traceCA: given(traceCA),
      .traceSampleRatio: given(traceSampleRatio),
      .traceSpansPerSecond: given(traceSpansPerSecond), .traceKeys: given(traceKeys),
    ]
  }
}

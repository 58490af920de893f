// The flags of traces, which all nodes have. Values; any thread.

import ArgumentParser

struct TraceOptions: ParsableArguments {
  @Option(
    help: "The OTLP/HTTP collector of spans: http://127.0.0.1:4318/v1/traces. (default: off)")
  var traceEndpoint: String?

  @Option(
    name: .customLong("trace-ca"),
    help: "The authority that signed an https collector's certificate. (default: the system's)")
  var traceCA: String?

  @Option(
    help: "A file with NAME=VALUE of header fields for the collector, as a token. (default: none)")
  var traceHeadersFile: String?

  @Option(
    parsing: .unconditional,
    help: "The share of calls without a traceparent that are traced: 0 to 1. (default: 0)")
  var traceSampleRatio: String?

  @Option(
    parsing: .unconditional,
    help: "The maximum number of spans that begin in a second. (default: 1000)")
  var traceSpansPerSecond: String?

  @Option(help: "How spans contain keys: none or digest. (default: none)")
  var traceKeys: String?

  var flags: [Setting: [String]] {
    [
      .traceEndpoint: given(traceEndpoint), .traceCA: given(traceCA),
      .traceHeadersFile: given(traceHeadersFile),
      .traceSampleRatio: given(traceSampleRatio),
      .traceSpansPerSecond: given(traceSpansPerSecond), .traceKeys: given(traceKeys),
    ]
  }
}

// The settings of traces, and the trace context of the client.

import NodeCore
import RingstoreClient
import Testing
import ringstore

@Suite struct TraceSettingsTests {
  private func sources(_ flags: [Setting: [String]]) -> SettingSources {
    SettingSources(
      .shard, flags: flags.merging([.id: ["a"]]) { own, _ in own }, environment: [:], file: nil)
  }

  @Test("Traces are off without an endpoint")
  func off() throws {
    #expect(try sources([:]).traceConfiguration() == nil)
    for text in ["off", ""] {
      #expect(try sources([.traceEndpoint: [text]]).traceConfiguration() == nil)
    }
  }

  @Test("An endpoint, a ratio, a limit and the form of keys")
  func on() throws {
    let endpoint = ["http://127.0.0.1:4318/v1/traces"]
    let defaults = try #require(try sources([.traceEndpoint: endpoint]).traceConfiguration())
    #expect(defaults.settings.sampleRatio == 0 && defaults.settings.spansPerSecond == 1_000)
    #expect(!defaults.settings.hasKeyDigests && defaults.exporter.tls == nil)
    #expect(defaults.exporter.endpoint.address.port == 4_318)
    let traces = try #require(
      try sources([
        .traceEndpoint: ["https://collector"], .traceSampleRatio: ["0.25"],
        .traceSpansPerSecond: ["7"], .traceKeys: ["digest"],
      ]).traceConfiguration())
    #expect(traces.settings.sampleRatio == 0.25 && traces.settings.spansPerSecond == 7)
    #expect(traces.settings.hasKeyDigests && traces.exporter.tls != nil)
  }

  @Test(
    "A wrong value is refused, with or without an endpoint",
    arguments: [
      (Setting.traceEndpoint, "localhost:4318"), (.traceSampleRatio, "1.01"),
      (.traceSampleRatio, "-0.1"), (.traceSampleRatio, "nan"), (.traceSampleRatio, "half"),
      (.traceSpansPerSecond, "0"), (.traceKeys, "key"),
    ])
  func refused(setting: Setting, value: String) {
    #expect(throws: ConfigurationError.self) {
      try sources([setting: [value]]).traceConfiguration()
    }
  }

  @Test("Neither a password nor a query of the endpoint is shown")
  func secrets() throws {
    do {
      _ = try sources([.traceEndpoint: ["http://user:secret@host/"]]).traceConfiguration()
      Issue.record("it was accepted")
    } catch {
      #expect(!error.sentence.contains("secret"))
    }
    let sources = sources([.traceEndpoint: ["https://host/v1?token=secret"]])
    #expect(try sources.traceConfiguration()?.exporter.endpoint.path == "/v1?token=secret")
    let shown = sources.ledger.settings.settings.first { $0.name == "trace_endpoint" }
    #expect(shown?.value == .text("https://host:443/v1?(secret)"))
  }

  @Test("An authority needs an https endpoint, and must be a file")
  func authority() {
    for endpoint in ["http://h/", "https://h/"] {
      #expect(throws: ConfigurationError.self) {
        try sources([.traceEndpoint: [endpoint], .traceCA: ["missing.pem"]]).traceConfiguration()
      }
    }
  }

  @Test("The trace of a call's options replaces the client's")
  func options() {
    let own = RingstoreTraceContext(traceparent: "own", tracestate: "a=b")
    var configuration = RingstoreClient.Configuration()
    configuration.traceContext = RingstoreTraceContext(traceparent: "client's")
    #expect(RingstoreCallOptions(traceContext: own).traceContext == own)
    #expect(RingstoreCallOptions.standard.traceContext == nil)
    #expect(configuration.traceContext?.tracestate == nil)
  }
}

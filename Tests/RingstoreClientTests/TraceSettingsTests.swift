// Settings of traces, and the trace that the client passes on.

import RingstoreClient
import Testing
import ringstore

@Suite struct TraceSettingsTests {
  private func sources(_ flags: [Setting: [String]]) -> SettingSources {
    SettingSources(
      .shard, flags: flags.merging([.id: ["a"]]) { own, _ in own }, environment: [:], file: nil)
  }

  @Test("There are no traces unless an endpoint is named")
  func off() throws {
    #expect(try sources([:]).traceConfiguration() == nil)
    for text in ["off", ""] {
      #expect(try sources([.traceEndpoint: [text]]).traceConfiguration() == nil)
    }
  }

  @Test("An endpoint, a ratio, a bound and what is said of keys")
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
    "A value that is none is refused, whether there is an endpoint or not",
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

  @Test("An authority is for https, and must be there")
  func authority() {
    for endpoint in ["http://h/", "https://h/"] {
      #expect(throws: ConfigurationError.self) {
        try sources([.traceEndpoint: [endpoint], .traceCA: ["missing.pem"]]).traceConfiguration()
      }
    }
  }

  @Test("A call's own trace wins over its client's")
  func options() {
    let own = RingstoreTraceContext(traceparent: "own", tracestate: "a=b")
    var configuration = RingstoreClient.Configuration()
    configuration.traceContext = RingstoreTraceContext(traceparent: "client's")
    #expect(RingstoreCallOptions(traceContext: own).traceContext == own)
    #expect(RingstoreCallOptions.standard.traceContext == nil)
    #expect(configuration.traceContext?.tracestate == nil)
  }
}

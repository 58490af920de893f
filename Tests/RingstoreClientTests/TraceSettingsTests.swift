// The settings of traces, and the trace context of the client.

import Foundation
import NodeCore
import RingstoreClient
import TestLogs
import Testing
import TraceExport
import ringstore

@Suite struct TraceSettingsTests {
  private func sources(_ flags: [Setting: [String]]) -> SettingSources {
    SettingSources(
      .shard, flags: flags.merging([.id: ["a"]]) { own, _ in own }, environment: [:], file: nil)
  }

  @Test func tracesAreOffWithoutAnEndpoint() throws {
    #expect(try sources([:]).traceConfiguration() == nil)
    for text in ["off", ""] {
      #expect(try sources([.traceEndpoint: [text]]).traceConfiguration() == nil)
    }
  }

  @Test func anEndpointARatioALimitAndTheFormOfKeys() throws {
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

  @Test(arguments: [
    (Setting.traceEndpoint, "localhost:4318"), (.traceSampleRatio, "1.01"),
    (.traceSampleRatio, "-0.1"), (.traceSampleRatio, "nan"), (.traceSampleRatio, "half"),
    (.traceSpansPerSecond, "0"), (.traceKeys, "key"),
  ])
  func aWrongValueIsRefusedWithOrWithoutAnEndpoint(setting: Setting, value: String) {
    #expect(throws: ConfigurationError.self) {
      try sources([setting: [value]]).traceConfiguration()
    }
  }

  @Test func neitherAPasswordNorAQueryOfTheEndpointIsShown() throws {
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

  @Test func anAuthorityNeedsAnHttpsEndpointAndMustBeAFile() {
    for endpoint in ["http://h/", "https://h/"] {
      #expect(throws: ConfigurationError.self) {
        try sources([.traceEndpoint: [endpoint], .traceCA: ["missing.pem"]]).traceConfiguration()
      }
    }
  }

  @Test func headersForTheCollectorComeFromAFileAndAreNotShown() throws {
    let folder = FileManager.default.temporaryDirectory.appending(
      path: "headers-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let path = folder.appending(path: "headers").path
    func write(_ text: String) throws {
      try Data(text.utf8).write(to: URL(filePath: path), options: .atomic)
    }
    let log = RecordedLog()
    let flags = [Setting.traceEndpoint: ["http://h/"], .traceHeadersFile: [path]]
    for text in ["", "secret"] {
      try write(text)
      let error = #expect(throws: ConfigurationError.self) {
        try sources(flags).traceConfiguration()
      }
      #expect(error?.sentence.contains(path) == true && error?.sentence.contains("secret") == false)
    }
    try write("api-key=secret")
    let usable = sources(flags)
    let headers = try #require(try usable.traceConfiguration()?.headers)
    #expect(headers.current(log.logger).fields.map(\.value) == ["secret"])
    let shown = usable.ledger.settings.settings.first { $0.name == "trace_headers_file" }
    #expect(shown?.value == .text(path))
    #expect(log.messages.isEmpty)
    try write("api-key=another secret")
    #expect(headers.current(log.logger).fields.map(\.value) == ["another secret"])
    for change in [{ try write("secret") }, { try FileManager.default.removeItem(atPath: path) }] {
      try change()
      #expect(headers.current(log.logger).fields.map(\.value) == ["another secret"])
      #expect(headers.current(log.logger).fields.map(\.value) == ["another secret"])
    }
    #expect(log.messages.count == 3, "one for each change")
  }

  @Test func theTraceOfACallsOptionsReplacesTheClients() {
    let own = RingstoreTraceContext(traceparent: "own", tracestate: "a=b")
    var configuration = RingstoreClient.Configuration()
    configuration.traceContext = RingstoreTraceContext(traceparent: "client's")
    #expect(RingstoreCallOptions(traceContext: own).traceContext == own)
    #expect(RingstoreCallOptions.standard.traceContext == nil)
    #expect(configuration.traceContext?.tracestate == nil)
  }
}

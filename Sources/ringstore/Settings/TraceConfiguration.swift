// From settings to traces: where spans go, and which calls have them.

import GRPC
import TextForms
import TraceExport
import Tracing

/// How a node's calls are traced.
package struct TraceConfiguration: Sendable {
  package var exporter: TraceExporterConfiguration
  package var settings = TraceSettings()
}

extension SettingSources {
  private static let spanCounts = 1...1_000_000

  /// Nil: traces are off, as long as no endpoint is named.
  package func traceConfiguration() throws(ConfigurationError) -> TraceConfiguration? {
    var settings = TraceSettings()
    settings.sampleRatio = try ratio(.traceSampleRatio, default: settings.sampleRatio)
    settings.spansPerSecond = try integer(
      .traceSpansPerSecond, Self.spanCounts, default: settings.spansPerSecond)
    settings.hasKeyDigests = try hasKeyDigests()
    let authority = try path(.traceCA)
    guard let found = try text(.traceEndpoint), !found.value.isEmpty, found.value != "off" else {
      ledger.note(.traceEndpoint, default: .string("off"))
      return nil
    }
    guard let endpoint = TraceEndpoint(found.value) else {
      throw ConfigurationError(
        "\(found.origin) must be off or a URL like http://127.0.0.1:4318/v1/traces, "
          + "not '\(found.value)'.")
    }
    guard endpoint.isEncrypted || authority == nil else {
      throw ConfigurationError("trace_ca is given, but trace_endpoint is not https.")
    }
    var exporter = TraceExporterConfiguration(endpoint)
    exporter.version = RingstoreVersion.current
    if endpoint.isEncrypted { exporter.tls = try Self.tls(authority) }
    return TraceConfiguration(exporter: exporter, settings: settings)
  }

  private static func tls(_ authority: String?) throws(ConfigurationError) -> ClientTLS {
    do throws(TLSFileFailure) {
      var tls = ClientTLS(try TLSContexts(.client(authority: authority, speaksHTTP2: false)))
      tls.refreshesAtConnect = true
      return tls
    } catch {
      throw ConfigurationError("trace_ca: \(error.sentence)")
    }
  }

  private func hasKeyDigests() throws(ConfigurationError) -> Bool {
    guard let found = try text(.traceKeys) else {
      ledger.note(.traceKeys, default: .string("none"))
      return false
    }
    guard ["none", "digest"].contains(found.value) else {
      throw ConfigurationError("\(found.origin) must be none or digest, not '\(found.value)'.")
    }
    return found.value == "digest"
  }

  /// A number from 0 to 1.
  private func ratio(
    _ setting: Setting, default value: Double
  ) throws(ConfigurationError) -> Double {
    guard let found = try text(setting) else {
      ledger.note(setting, default: .number(value))
      return value
    }
    guard let ratio = Double(found.value), (0...1).contains(ratio) else {
      throw ConfigurationError(
        "\(found.origin) must be a number from 0 to 1, not '\(found.value)'.")
    }
    ledger.take(setting, .number(ratio))
    return ratio
  }
}

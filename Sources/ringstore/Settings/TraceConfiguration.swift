// The settings of traces: reads and checks them. Values; any thread.

import GRPC
import TextForms
import TraceExport
import Tracing

/// How a process traces calls, and where it exports spans.
package struct TraceConfiguration: Sendable {
  package var exporter: TraceExporterConfiguration
  /// The file with further header fields for the collector; nil: none.
  package var headers: TraceHeadersFile?
  package var settings = TraceSettings()
}

extension SettingSources {
  private static let spanCounts = 1...1_000_000

  /// nil: traces are off, because there is no endpoint.
  package func traceConfiguration() throws(ConfigurationError) -> TraceConfiguration? {
    var settings = TraceSettings()
    settings.sampleRatio = try sampleRatio(default: settings.sampleRatio)
    settings.spansPerSecond = try integer(
      .traceSpansPerSecond, Self.spanCounts, default: settings.spansPerSecond)
    settings.hasKeyDigests = try hasKeyDigests()
    let authority = try path(.traceCA)
    let headersPath = try path(.traceHeadersFile)
    guard let endpoint = try traceEndpoint() else { return nil }
    guard endpoint.isEncrypted || authority == nil else {
      throw ConfigurationError("trace_ca is given, but trace_endpoint is not https.")
    }
    var exporter = TraceExporterConfiguration(endpoint)
    exporter.version = RingstoreVersion.current
    if endpoint.isEncrypted { exporter.tls = try Self.tls(authority) }
    var configuration = TraceConfiguration(exporter: exporter, settings: settings)
    if let headersPath {
      do throws(TraceHeadersFile.Failure) {
        configuration.headers = try TraceHeadersFile(headersPath)
      } catch {
        throw ConfigurationError("trace_headers_file: \(headersPath) \(error.sentence).")
      }
    }
    return configuration
  }

  /// nil: off.
  private func traceEndpoint() throws(ConfigurationError) -> TraceEndpoint? {
    guard let found = try text(.traceEndpoint) else {
      ledger.note(.traceEndpoint, default: .text("off"))
      return nil
    }
    guard !found.value.isEmpty, found.value != "off" else { return nil }
    guard let endpoint = TraceEndpoint(found.value) else {
      // The text isn't repeated, because it may contain a password.
      throw ConfigurationError(
        "\(found.origin) must be off, or a URL without a user name, like "
          + "http://127.0.0.1:4318/v1/traces.")
    }
    ledger.take(.traceEndpoint, .text(endpoint.shown))
    return endpoint
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
      ledger.note(.traceKeys, default: .text("none"))
      return false
    }
    guard ["none", "digest"].contains(found.value) else {
      throw ConfigurationError("\(found.origin) must be none or digest, not '\(found.value)'.")
    }
    return found.value == "digest"
  }

  private func sampleRatio(default ratio: Double) throws(ConfigurationError) -> Double {
    guard let found = try text(.traceSampleRatio) else {
      ledger.note(.traceSampleRatio, default: .text("0"))
      return ratio
    }
    guard let ratio = Double(found.value), (0...1).contains(ratio) else {
      throw ConfigurationError(
        "\(found.origin) must be a number from 0 to 1, not '\(found.value)'.")
    }
    return ratio
  }
}

// The encryption of `cli`, `health` and `admin`: flags, else separate variables. The variables
// differ from those of nodes, because a node's health check often runs in the same environment.
// Pure.

import RingstoreClient

package struct ClientTLSSettings: Sendable {
  /// The values of the flags.
  package var isAsked = false
  package var authority: String?
  package var certificate: String?
  package var key: String?
  package var serverName: String?

  package init(
    isAsked: Bool = false, authority: String? = nil, certificate: String? = nil, key: String? = nil,
    serverName: String? = nil
  ) {
    self.isAsked = isAsked
    self.authority = authority
    self.certificate = certificate
    self.key = key
    self.serverName = serverName
  }

  package static let prefix = Setting.environmentPrefix + "CLIENT_TLS"

  /// Nil: calls are not encrypted.
  package func configuration(
    _ environment: [String: String]
  ) throws(ConfigurationError) -> RingstoreClient.TLS? {
    func value(_ flag: String?, _ name: String) -> String? {
      let found = flag ?? environment[Self.prefix + name]
      return found?.isEmpty == true ? nil : found
    }
    var tls = RingstoreClient.TLS()
    tls.authorityFile = value(authority, "_CA")
    tls.certificateFile = value(certificate, "_CERTIFICATE")
    tls.keyFile = value(key, "_KEY")
    tls.serverName = value(serverName, "_SERVER_NAME")
    guard (tls.certificateFile == nil) == (tls.keyFile == nil) else {
      throw ConfigurationError("--tls-certificate and --tls-key are given together or not at all.")
    }
    let isAskedAnyhow = try isAskedByEnvironment(environment)
    let isNamed = (tls.authorityFile ?? tls.certificateFile ?? tls.serverName) != nil
    return isAsked || isAskedAnyhow || isNamed ? tls : nil
  }

  private func isAskedByEnvironment(
    _ environment: [String: String]
  ) throws(ConfigurationError) -> Bool {
    switch environment[Self.prefix]?.lowercased() {
    case nil, "", "false", "no", "0": return false
    case "true", "yes", "1": return true
    case .some(let value):
      throw ConfigurationError("\(Self.prefix) must be true or false, not '\(value)'.")
    }
  }
}

// From settings to the encryption of a node's ports and links, and the only check whether a node
// may listen on its address.

import GRPC
import NIOCore

extension SettingSources {
  private static let handshakeCounts = 1...1_000_000

  /// How the node's ports are encrypted; nil: not at all.
  func serverTLS() throws(ConfigurationError) -> ServerTLS? {
    let certificate = try path(.tlsCertificate)
    let key = try path(.tlsKey)
    let authority = try path(.tlsClientCA)
    let asked = try clientCertificates()
    let handshakesMax = try integer(
      .maxHandshakes, Self.handshakeCounts, default: ServerTLS.handshakesMaxDefault)
    guard let certificate, let key else {
      guard certificate == nil, key == nil else {
        throw ConfigurationError("tls_certificate and tls_key are given together or not at all.")
      }
      guard authority == nil else {
        throw ConfigurationError("tls_client_ca is given, but tls_certificate and tls_key aren't.")
      }
      return nil
    }
    var tls = ServerTLS(
      .server(
        certificate: certificate, key: key, clientAuthority: authority, clientCertificates: asked))
    tls.handshakesMax = handshakesMax
    return tls
  }

  private func clientCertificates() throws(ConfigurationError) -> TLSFiles.ClientCertificates {
    guard let found = try text(.tlsClientCertificates) else { return .required }
    guard let asked = TLSFiles.ClientCertificates(rawValue: found.value) else {
      throw ConfigurationError(
        "\(found.origin) must be required or optional, not '\(found.value)'.")
    }
    return asked
  }

  /// How a router's links are encrypted; nil: not at all.
  func linkTLS() throws(ConfigurationError) -> LinkTLS? {
    guard kind.settings.contains(.shardTLSCA) else { return nil }
    let certificate = try path(.shardTLSCertificate)
    let key = try path(.shardTLSKey)
    let serverName = try path(.shardTLSServerName)
    guard (certificate == nil) == (key == nil) else {
      throw ConfigurationError(
        "shard_tls_certificate and shard_tls_key are given together or not at all.")
    }
    guard let authority = try path(.shardTLSCA) else {
      guard certificate == nil, serverName == nil else {
        throw ConfigurationError("the certificate for links needs shard_tls_ca, which is not set.")
      }
      return nil
    }
    return LinkTLS(
      .client(authority: authority, certificate: certificate, key: key), serverName: serverName)
  }

  /// Refuses to listen on an address where others could read and change everything.
  ///
  /// - Parameters:
  ///   - setting: the one that has the address.
  ///   - hasUsers: whether callers must identify themselves.
  func checkAddress(
    _ host: String, of setting: Setting = .host, isEncrypted: Bool, hasUsers: Bool
  ) throws(ConfigurationError) {
    let isAllowed = try boolean(.insecure, default: false)
    if isAllowed || isEncrypted || hasUsers || Self.isLoopback(host) { return }
    let isNumeric = (try? SocketAddress(ipAddress: host, port: 0)) != nil
    throw ConfigurationError(
      "\(try text(setting)?.origin ?? setting.rawValue): \(host) "
        + (isNumeric ? "can" : "is a name, which may be an address that can")
        + " be reached from other machines, so any client could read and change everything: set "
        + "--tls-certificate and --tls-key, or --users, or --insecure.")
  }

  /// Whether only programs on this machine can connect to the address. A name other than localhost
  /// may resolve to any address.
  private static func isLoopback(_ host: String) -> Bool {
    switch try? SocketAddress(ipAddress: host, port: 0) {
    case .v4(let v4): UInt32(bigEndian: v4.address.sin_addr.s_addr) >> 24 == 127
    case .v6(let v6):
      withUnsafeBytes(of: v6.address.sin6_addr) { bytes in
        let isMapped = bytes[..<10].allSatisfy { $0 == 0 } && bytes[10] == 0xff && bytes[11] == 0xff
        return isMapped
          ? bytes[12] == 127 : bytes[..<15].allSatisfy { $0 == 0 } && bytes[15] == 1
      }
    default: host.lowercased() == "localhost"
    }
  }
}

// The files that TLS is set up from, and NIOSSL's context made from them, once for all connections.
// Reading them takes disk reads and milliseconds of computing, so servers don't do it on an event
// loop. Values; any thread.

import NIOCore
import NIOSSL
import SmallFiles

/// Why files can't be used, as one sentence for an operator. It never shows a file's contents.
package struct TLSFileFailure: Error, Sendable, Hashable, CustomStringConvertible {
  package let sentence: String
  package var description: String { sentence }

  package init(_ sentence: String) { self.sentence = sentence }
}

/// Paths of PEM files, and their purpose.
package struct TLSFiles: Sendable, Hashable {
  /// Whether a server's clients must show a certificate.
  package enum ClientCertificates: String, Sendable, Hashable, CaseIterable {
    case required, optional
  }

  private enum Side: Sendable, Hashable {
    case server(ClientCertificates)
    case client
  }

  private let side: Side
  /// The certificate with its chain up to the authority, and its key.
  package let certificate: String?
  package let key: String?
  /// Certificates of the authorities that sign the peers' certificates. A server without this
  /// requests no certificates; a client without it trusts the authorities that the system trusts.
  package let authority: String?

  /// The protocols that peers may agree on, the preferred one first; empty: no ALPN.
  private var protocols = [TLSProtocol.http2]

  /// Longest file that is read. The bundles of authorities that systems have are a quarter of it.
  static let fileBytesMax = 1 << 20

  package static func server(
    certificate: String, key: String, clientAuthority: String? = nil,
    clientCertificates: ClientCertificates = .required
  ) -> TLSFiles {
    TLSFiles(
      side: .server(clientCertificates), certificate: certificate, key: key,
      authority: clientAuthority)
  }

  /// - Parameter speaksHTTP2: whether HTTP/2 is requested (ALPN); else nothing is.
  package static func client(
    authority: String? = nil, certificate: String? = nil, key: String? = nil,
    speaksHTTP2: Bool = true
  ) -> TLSFiles {
    var files = TLSFiles(side: .client, certificate: certificate, key: key, authority: authority)
    if !speaksHTTP2 { files.protocols = [] }
    return files
  }

  /// The same files for a server of HTTP/1.1, which clients use if no protocol is agreed. A client
  /// that also supports HTTP/2 must not get it offered.
  package var forHTTP1: TLSFiles {
    var files = self
    files.protocols = []
    return files
  }

  var paths: [String] { [certificate, key, authority].compactMap { $0 } }

  // MARK: - From files to a context

  /// Reads the files.
  func load() throws(TLSFileFailure) -> NIOSSLContext { try loadWithEnd().context }

  /// Reads the files. Returns when the certificate ends, in seconds since 1970, if there is one.
  func loadWithEnd() throws(TLSFileFailure) -> (context: NIOSSLContext, endSeconds: Int?) {
    let chain = try certificate.map { path throws(TLSFileFailure) in try certificates(path) } ?? []
    let privateKey = try key.map { path throws(TLSFileFailure) in try self.privateKey(path) }
    guard chain.isEmpty == (privateKey == nil) else {
      throw TLSFileFailure("a certificate and its key are given together or not at all")
    }
    let roots = try authority.map { path throws(TLSFileFailure) in try certificates(path) }
    var configuration: TLSConfiguration
    switch side {
    case .server(let clientCertificates):
      guard let privateKey else { throw TLSFileFailure("a server needs a certificate and its key") }
      configuration = .makeServerConfiguration(
        certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(privateKey))
      if let roots {
        configuration.trustRoots = .certificates(roots)
        configuration.certificateVerification =
          clientCertificates == .required ? .noHostnameVerification : .optionalVerification
      }
    case .client:
      configuration = .makeClientConfiguration()
      configuration.certificateChain = chain.map { .certificate($0) }
      configuration.privateKey = privateKey.map { .privateKey($0) }
      if let roots { configuration.trustRoots = .certificates(roots) }
    }
    Self.setRules(&configuration)
    configuration.applicationProtocols = protocols
    do {
      let end = chain.first.map { Int($0.notValidAfter) }
      return (try NIOSSLContext(configuration: configuration), end)
    } catch {
      throw TLSFileFailure(
        "\(shown(certificate)) and \(shown(key)) can't be used together: "
          + "the key doesn't belong to the certificate, or its kind isn't supported")
    }
  }

  /// The rules for every connection of ours.
  private static func setRules(_ configuration: inout TLSConfiguration) {
    configuration.minimumTLSVersion = .tlsv12
    // Of TLS 1.2 what HTTP/2 allows (RFC 9113 section 9.2.2): forward secrecy and authenticated
    // encryption. TLS 1.3 has nothing else.
    configuration.cipherSuiteValues = [
      .TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, .TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
      .TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, .TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
      .TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, .TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    ]
    // A socket is closed at once, as without TLS. An owner whose last bytes must be read waits
    // before it closes.
    configuration.shutdownTimeout = .zero
  }

  private func certificates(_ path: String) throws(TLSFileFailure) -> [NIOSSLCertificate] {
    let bytes = try Self.read(path)
    guard let found = try? NIOSSLCertificate.fromPEMBytes(bytes), !found.isEmpty else {
      throw TLSFileFailure("\(path) contains no certificate in PEM form")
    }
    return found
  }

  private func privateKey(_ path: String) throws(TLSFileFailure) -> NIOSSLPrivateKey {
    let bytes = try Self.read(path)
    do {
      return try NIOSSLPrivateKey(bytes: bytes, format: .pem)
    } catch {
      throw TLSFileFailure("\(path) contains no private key in PEM form without a passphrase")
    }
  }

  private static func read(_ path: String) throws(TLSFileFailure) -> [UInt8] {
    do throws(SmallFile.Failure) {
      return try SmallFile.read(path, bytesMax: fileBytesMax)
    } catch {
      throw TLSFileFailure("\(path) can't be read: \(error.reason)")
    }
  }

  private func shown(_ path: String?) -> String { path ?? "the system's certificates" }
}

/// Names of protocols, as peers agree on them in their handshake (ALPN).
enum TLSProtocol {
  static let http2 = "h2"
}

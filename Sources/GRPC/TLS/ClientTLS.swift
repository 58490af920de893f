// The client's side of TLS: how a connection is encrypted, and the handshake of one that was just
// made. Values and handlers; the latter on the channel's event loop.

import NIOCore
import NIOSSL
import NIOTLS

/// How a client's connections are encrypted.
package struct ClientTLS: Sendable {
  package var contexts: TLSContexts
  /// The name that the server's certificate must have; nil: the host that is connected to.
  package var serverName: String?
  /// Whether the files are looked at before each connection is made: for clients without a
  /// background task that does so.
  package var refreshesAtConnect = false

  package init(_ contexts: TLSContexts, serverName: String? = nil) {
    self.contexts = contexts
    self.serverName = serverName
  }

  /// The name that is sent in the handshake (SNI) and checked in the certificate. An address is not
  /// sent (RFC 6066 section 3); the certificate is checked for the address of the connection.
  private func name(of host: String) throws -> String? {
    let name = serverName ?? host
    let isAddress = (try? SocketAddress(ipAddress: name, port: 0)) != nil
    // Only the address that is connected to can be looked for.
    if isAddress, name != host { throw Failure.nameIsAddress }
    return isAddress ? nil : name
  }

  /// Adds TLS to a channel whose server is `host`.
  ///
  /// - Parameters:
  ///   - protocolName: the protocol that the server must select (ALPN); nil: none.
  ///   - completion: called once, with the handler above TLS, or with the reason why there is no
  ///     connection. Never called from within this function.
  func add(
    to channel: any Channel, host: String, protocolName expected: String? = TLSProtocol.http2,
    completion: @escaping (Result<SocketWriter, any Error>) -> Void
  ) throws {
    if refreshesAtConnect { _ = contexts.refresh() }
    let socket = TLSSocketHandler()
    let name = try name(of: host)
    let tls = try NIOSSLClientHandler(context: contexts.context, serverHostname: name)
    let outcome = HandshakeOutcome { [weak tls] result in
      switch result {
      case .completed(let protocolName) where protocolName != expected:
        completion(.failure(Failure.wrongProtocol))
      case .completed:
        // NIOSSL accepts the address, for any name.
        if let name, tls?.peerCertificate.map({ CertificateNames.of($0, have: name) }) != true {
          return completion(.failure(Failure.wrongName))
        }
        completion(.success(SocketWriter(above: socket.writer)))
      case .failed(let error): completion(.failure(error))
      }
    }
    try channel.pipeline.syncOperations.addHandlers([socket, tls, outcome])
  }

  private enum Failure: String, Error, CustomStringConvertible {
    case wrongProtocol = "the peer doesn't use HTTP/2 here (ALPN)"
    case wrongName = "the peer's certificate is for another name"
    case nameIsAddress = "the server name must be a name, not an address"

    var description: String { rawValue }
  }
}

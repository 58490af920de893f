// A client's TLS in the transport's form. For code in the package that makes its own connections.

package import GRPC

extension RingstoreClient.TLS {
  /// Reads the files.
  ///
  /// - Parameter speaksHTTP2: whether the handshake requests HTTP/2, as gRPC needs it.
  package func transport(speaksHTTP2: Bool = true) throws(TLSFileFailure) -> ClientTLS {
    let contexts = try TLSContexts(
      .client(
        authority: authorityFile, certificate: certificateFile, key: keyFile,
        speaksHTTP2: speaksHTTP2))
    var tls = ClientTLS(contexts, serverName: serverName)
    tls.refreshesAtConnect = true
    return tls
  }
}

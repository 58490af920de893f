// A client's TLS as the transport takes it. For those within the package who make connections of
// their own.

package import GRPC

extension RingstoreClient.TLS {
  /// Reads the files.
  ///
  /// - Parameter speaksHTTP2: whether HTTP/2 is asked for in the handshake, as gRPC needs it.
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

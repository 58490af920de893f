// The encryption of a node's ports, from its settings, and what its listeners need of it. Values;
// any thread.

package struct ServerTLS: Sendable {
  package var files: TLSFiles
  /// Handshakes in progress on each port.
  package var handshakesMax = ServerTLS.handshakesMaxDefault

  package static let handshakesMaxDefault = 1_024

  package init(_ files: TLSFiles) {
    self.files = files
  }

  /// For a server of HTTP/1.1 with the same files.
  package var forHTTP1: ServerTLS {
    var tls = self
    tls.files = files.forHTTP1
    return tls
  }

  /// What a node's two ports have in common.
  package struct Listeners: Sendable {
    package let contexts: TLSContexts
    private let handshakesMax: Int

    fileprivate init(_ tls: ServerTLS) throws(TLSFileFailure) {
      contexts = try TLSContexts(tls.files)
      handshakesMax = tls.handshakesMax
    }

    /// The gRPC port, whose clients must request HTTP/2.
    package var calls: ListenerTLS { listener(TLSProtocol.http2) }
    /// The line port, whose clients request no protocol.
    package var lines: ListenerTLS { listener(nil) }

    private func listener(_ protocolName: String?) -> ListenerTLS {
      var tls = ListenerTLS(contexts, protocolName: protocolName)
      tls.handshakesMax = handshakesMax
      return tls
    }
  }

  /// Reads the files.
  package func listeners() throws(TLSFileFailure) -> Listeners { try Listeners(self) }
}

/// The encryption of a router's links, from its settings.
package struct LinkTLS: Sendable {
  package var files: TLSFiles
  /// The name that every shard's certificate must have; nil: the host in its address.
  package var serverName: String?

  package init(_ files: TLSFiles, serverName: String? = nil) {
    self.files = files
    self.serverName = serverName
  }

  /// Reads the files.
  package func client() throws(TLSFileFailure) -> ClientTLS {
    ClientTLS(try TLSContexts(files), serverName: serverName)
  }
}

// The identity of an accepted connection's peer, as verified by TLS. A value that is created once
// for each connection, after its handshake. Any thread.

/// What is proven of a connection's peer.
package struct PeerIdentity: Sendable, Hashable {
  /// A name of a certificate, out of its subject alternative names. The subject's common name is
  /// not looked at: it has no type, so a host could pass for a person.
  package enum Name: Sendable, Hashable {
    case dns(String)
    /// SPIFFE ids are such names: `spiffe://ringstore/router`.
    case uri(String)
  }

  /// Whether the connection is encrypted by TLS.
  package let isEncrypted: Bool
  /// The names of the client's certificate, which the node's certificate authority has signed, in
  /// the certificate's order; at most `namesMax`. Empty: the client has shown none.
  package let names: [Name]

  /// Names of one certificate that are looked at; further ones count for nothing.
  package static let namesMax = 64

  package init(isEncrypted: Bool, names: [Name] = []) {
    self.isEncrypted = isEncrypted
    self.names = names
  }

  /// A client without TLS.
  package static let plaintext = PeerIdentity(isEncrypted: false)
}

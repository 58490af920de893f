// The flags for encryption: of nodes, and of their clients.

import ArgumentParser
import RingstoreClient

/// The flags about a node's ports.
struct TLSServerOptions: ParsableArguments {
  @Option(help: "A PEM file with the node's certificate: both ports use TLS. (default: none)")
  var tlsCertificate: String?

  @Option(help: "A PEM file with its private key. (default: none)")
  var tlsKey: String?

  @Option(
    name: .customLong("tls-client-ca"),
    help: "A PEM file with the authority of clients' certificates. (default: none are requested)")
  var tlsClientCA: String?

  @Option(help: "Whether clients need a certificate: required or optional. (default: required)")
  var tlsClientCertificates: String?

  @Option(
    parsing: .unconditional, help: "TLS handshakes in progress on each port. (default: 1024)")
  var maxHandshakes: String?

  @Flag(help: "Allow an address that other machines reach, without TLS and users.")
  var insecure = false

  var flags: [Setting: [String]] {
    [
      .tlsCertificate: given(tlsCertificate), .tlsKey: given(tlsKey),
      .tlsClientCA: given(tlsClientCA), .tlsClientCertificates: given(tlsClientCertificates),
      .maxHandshakes: given(maxHandshakes), .insecure: insecure ? ["true"] : [],
    ]
  }
}

/// The flags about a router's links.
struct TLSLinkOptions: ParsableArguments {
  @Option(
    name: .customLong("shard-tls-ca"),
    help: "A PEM file with the authority of the shards' certificates. (default: links without TLS)")
  var shardTLSCA: String?

  @Option(
    name: .customLong("shard-tls-certificate"),
    help: "A PEM file with the router's certificate for shards. (default: none)")
  var shardTLSCertificate: String?

  @Option(
    name: .customLong("shard-tls-key"), help: "A PEM file with its private key. (default: none)")
  var shardTLSKey: String?

  @Option(
    name: .customLong("shard-tls-server-name"),
    help: "The name that shards' certificates must have. (default: the host of their address)")
  var shardTLSServerName: String?

  var flags: [Setting: [String]] {
    [
      .shardTLSCA: given(shardTLSCA), .shardTLSCertificate: given(shardTLSCertificate),
      .shardTLSKey: given(shardTLSKey), .shardTLSServerName: given(shardTLSServerName),
    ]
  }
}

/// The flags of clients.
struct TLSClientOptions: ParsableArguments {
  @Flag(help: "Use TLS, and trust the system's authorities. (default: RINGSTORE_CLIENT_TLS=true)")
  var tls = false

  @Option(
    name: .customLong("tls-ca"),
    help: """
      Use TLS, and trust the authority with the certificate in this PEM file. (default: \
      RINGSTORE_CLIENT_TLS_CA)
      """)
  var tlsCA: String?

  @Option(
    help: """
      Use TLS, with the client certificate in this PEM file. (default: \
      RINGSTORE_CLIENT_TLS_CERTIFICATE)
      """)
  var tlsCertificate: String?

  @Option(help: "A PEM file with its private key. (default: RINGSTORE_CLIENT_TLS_KEY)")
  var tlsKey: String?

  @Option(
    help: """
      The name that the node's certificate must have. (default: RINGSTORE_CLIENT_TLS_SERVER_NAME; \
      else the host)
      """)
  var tlsServerName: String?

  func configuration(
    _ environment: [String: String]
  ) throws(ConfigurationError) -> RingstoreClient.TLS? {
    try ClientTLSSettings(
      isAsked: tls, authority: tlsCA, certificate: tlsCertificate, key: tlsKey,
      serverName: tlsServerName
    ).configuration(environment)
  }
}

// Settings about encryption, where a node may listen without it, and what the command line makes of
// flags and variables.

import GRPC
import RingstoreClient
import Testing
import ringstore

@Suite struct TLSSettingsTests {
  private func shard(
    _ flags: [Setting: [String]], _ environment: [String: String] = [:]
  ) throws(ConfigurationError) -> ServerTLS? {
    try SettingSources(
      .shard, flags: flags.merging([.id: ["a"]]) { $1 }, environment: environment, file: nil
    ).shardConfiguration().tls
  }

  private func router(_ flags: [Setting: [String]]) throws(ConfigurationError) -> LinkTLS? {
    try SettingSources(
      .router, flags: flags.merging([.shards: ["a=h:1"]]) { $1 }, environment: [:], file: nil
    ).routerConfiguration().linkTLS
  }

  private func sentence<Value>(_ body: () throws(ConfigurationError) -> Value) -> String {
    do throws(ConfigurationError) {
      _ = try body()
      return "(taken)"
    } catch {
      return error.sentence
    }
  }

  private let pair: [Setting: [String]] = [.tlsCertificate: ["c.pem"], .tlsKey: ["k.pem"]]

  @Test func aNodeWithACertificateIsEncrypted() throws {
    #expect(try shard([:]) == nil)
    #expect(try shard(pair)?.files == .server(certificate: "c.pem", key: "k.pem"))
    let all = pair.merging([
      .tlsClientCA: ["ca.pem"], .tlsClientCertificates: ["optional"], .maxHandshakes: ["7"],
    ]) { $1 }
    let tls = try shard(all)
    #expect(
      tls?.files
        == .server(
          certificate: "c.pem", key: "k.pem", clientAuthority: "ca.pem",
          clientCertificates: .optional))
    #expect(tls?.handshakesMax == 7)
  }

  @Test func anEmptyVariableTakesBackWhatAFileSays() throws {
    let variables = ["RINGSTORE_TLS_CERTIFICATE": "", "RINGSTORE_TLS_KEY": ""]
    #expect(try shard([:], variables) == nil)
    #expect(try shard(pair, variables) != nil)
  }

  @Test func halfOfAPairIsRefused() {
    #expect(
      sentence { () throws(ConfigurationError) in try shard([.tlsKey: ["k.pem"]]) }
        == "tls_certificate and tls_key are given together or not at all.")
    #expect(
      sentence { () throws(ConfigurationError) in try shard([.tlsClientCA: ["ca.pem"]]) }
        == "tls_client_ca is given, but tls_certificate and tls_key aren't.")
    #expect(
      sentence { () throws(ConfigurationError) in
        try router([.shardTLSCA: ["ca.pem"], .shardTLSCertificate: ["c.pem"]])
      } == "shard_tls_certificate and shard_tls_key are given together or not at all.")
    #expect(
      sentence { () throws(ConfigurationError) in try router([.shardTLSServerName: ["s"]]) }
        == "the certificate for links needs shard_tls_ca, which is not set.")
  }

  @Test func linksAreEncryptedWithAnAuthority() throws {
    #expect(try router([:])?.files == nil)
    let links = try router([
      .shardTLSCA: ["ca.pem"], .shardTLSCertificate: ["c.pem"], .shardTLSKey: ["k.pem"],
      .shardTLSServerName: ["shards"],
    ])
    #expect(links?.files == .client(authority: "ca.pem", certificate: "c.pem", key: "k.pem"))
    #expect(links?.serverName == "shards")
  }

  // MARK: - Addresses

  @Test(arguments: [
    "127.0.0.1", "127.1.2.3", "::1", "[::1]", "localhost", "LOCALHOST", "::ffff:127.0.0.1",
  ])
  func ownAddressesNeedNothing(host: String) throws {
    #expect(try shard([.host: [host]]) == nil)
  }

  @Test(arguments: [
    "0.0.0.0", "::", "10.0.0.1", "::ffff:10.0.0.1", "2001:db8::1", "example.net", "127.evil.net",
    "localhost.example.net",
  ])
  func otherAddressesNeedTLSOrUsersOrAWord(host: String) throws {
    let refused = sentence { () throws(ConfigurationError) in try shard([.host: [host]]) }
    let isName = host.hasSuffix(".net")
    #expect(refused.hasPrefix("--host: \(host) " + (isName ? "is a name" : "can be reached")))
    #expect(refused.contains("can be reached from other machines"))
    for way in ["--tls-certificate", "--users", "--insecure"] { #expect(refused.contains(way)) }
    #expect(try shard([.host: [host], .insecure: ["true"]]) == nil)
    #expect(try shard(pair.merging([.host: [host]]) { $1 }) != nil)
    let isRefusedToo = sentence { () throws(ConfigurationError) in
      try shard([.host: [host], .insecure: ["false"]])
    }
    #expect(isRefusedToo == refused)
  }

  @Test func insecureIsTrueOrFalse() {
    let refused = sentence { () throws(ConfigurationError) in try shard([.insecure: ["maybe"]]) }
    #expect(refused == "--insecure must be true or false, not 'maybe'.")
  }

  // MARK: - The command line

  @Test func callsAreEncryptedWhereAFlagOrAVariableSaysSo() throws {
    func tls(
      _ settings: ClientTLSSettings, _ environment: [String: String] = [:]
    ) throws(ConfigurationError) -> RingstoreClient.TLS? {
      try settings.configuration(environment)
    }
    #expect(try tls(ClientTLSSettings()) == nil)
    #expect(try tls(ClientTLSSettings(isAsked: true)) == RingstoreClient.TLS())
    #expect(
      try tls(ClientTLSSettings(authority: "ca.pem"))
        == RingstoreClient.TLS(authorityFile: "ca.pem"))
    let variables = [
      "RINGSTORE_CLIENT_TLS_CA": "from.pem", "RINGSTORE_CLIENT_TLS_SERVER_NAME": "name",
    ]
    #expect(
      try tls(ClientTLSSettings(authority: "ca.pem"), variables)
        == RingstoreClient.TLS(authorityFile: "ca.pem", serverName: "name"))
    #expect(try tls(ClientTLSSettings(), ["RINGSTORE_CLIENT_TLS": "true"]) != nil)
    #expect(try tls(ClientTLSSettings(), ["RINGSTORE_CLIENT_TLS_CA": ""]) == nil)
    // A node's own certificate is none to call with.
    #expect(try tls(ClientTLSSettings(), ["RINGSTORE_TLS_CERTIFICATE": "c.pem"]) == nil)
    #expect(
      sentence { () throws(ConfigurationError) in try tls(ClientTLSSettings(key: "k.pem")) }
        == "--tls-certificate and --tls-key are given together or not at all.")
  }
}

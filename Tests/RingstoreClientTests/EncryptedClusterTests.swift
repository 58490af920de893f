// A cluster that is encrypted everywhere: clients to the router, the line port, and links on which
// both sides show certificates.

import Foundation
import GRPC
import RingstoreClient
import RouterNode
import ShardNode
import TestCertificates
import Testing
import ringstore

@Suite(.timeLimit(.minutes(15))) struct EncryptedClusterTests {
  private let certificates: TestCertificates

  init() throws { certificates = try TestCertificates() }

  /// - Parameter links: what the router shows to shards, which ask for a certificate.
  private func withCluster(
    links: TestCertificates.Pair?, _ body: (RunningNode) async throws -> Void
  ) async throws {
    let shards = ["a", "b"].map { id in
      var shard = ShardConfiguration(id: id)
      shard.port = 0
      shard.drainSeconds = 1
      shard.tls = ServerTLS(
        .server(
          certificate: certificates.shard.certificate, key: certificates.shard.key,
          clientAuthority: certificates.authority))
      return shard
    }
    var router = RouterConfiguration(shards: [])
    router.port = 0
    router.linePort = 0
    router.drainSeconds = 1
    // On a busy machine a shard gets no core for seconds, and is not lost for it.
    router.linkLimits.silenceNanosMax = 600 * 1_000_000_000
    router.tls = ServerTLS(
      .server(certificate: certificates.router.certificate, key: certificates.router.key))
    router.linkTLS = LinkTLS(
      .client(
        authority: certificates.authority, certificate: links?.certificate, key: links?.key))
    let logs = NodeLogs(level: .critical) { _ in }
    let node = try await RunningNode(router, withShards: shards, logs)
    do {
      try await body(node)
    } catch {
      await node.drain()
      throw error
    }
    await node.drain()
  }

  private func client(_ node: RunningNode, _ tls: RingstoreClient.TLS?) -> RingstoreClient {
    var configuration = RingstoreClient.Configuration.patient
    configuration.tls = tls
    return RingstoreClient(host: "127.0.0.1", port: node.port, configuration: configuration)
  }

  private func waitForLinks(_ client: RingstoreClient) async throws {
    while try await !client.describe().nodes.allSatisfy({ $0.state == .serving }) {
      try await Task.sleep(for: .milliseconds(5))
    }
  }

  @Test func callsGoThroughEncryptedLinks() async throws {
    try await withCluster(links: certificates.router) { node in
      let client = client(node, .init(authorityFile: certificates.authority))
      defer { client.close() }
      try await waitForLinks(client)
      for number in 0..<100 { try await client.set("key-\(number)", to: "value-\(number)") }
      for number in 0..<100 {
        #expect(try await client.getString("key-\(number)") == "value-\(number)")
      }
      let long = [UInt8](repeating: 7, count: 3 << 20)
      try await client.set("long", to: long)
      #expect(try await client.get("long") == long)
    }
  }

  @Test func aRouterWithoutACertificateReachesNoShard() async throws {
    try await withCluster(links: nil) { node in
      let client = client(node, .init(authorityFile: certificates.authority))
      defer { client.close() }
      let nodes = try await client.describe().nodes
      #expect(nodes.contains { $0.detail.contains("the peer requires a certificate") }, "\(nodes)")
      let error = await failure { try await client.set("key", to: "value") }
      #expect(error != nil)
    }
  }

  @Test func theLinePortIsEncryptedToo() async throws {
    try await withCluster(links: certificates.router) { node in
      let client = client(node, .init(authorityFile: certificates.authority))
      defer { client.close() }
      try await waitForLinks(client)
      let process = Process()
      let (input, output) = (Pipe(), Pipe())
      process.executableURL = URL(filePath: "/usr/bin/env")
      process.arguments = [
        "openssl", "s_client", "-quiet", "-connect", "127.0.0.1:\(node.linePort ?? 0)",
        "-CAfile", certificates.authority, "-verify_return_error",
      ]
      process.standardInput = input
      process.standardOutput = output
      process.standardError = Pipe()
      try process.run()
      try input.fileHandleForWriting.write(
        contentsOf: Data("SET word hello\nGET word\nQUIT\n".utf8))
      let said = output.fileHandleForReading.readDataToEndOfFile()
      process.waitUntilExit()
      #expect(String(decoding: said, as: UTF8.self) == "+OK\r\n+hello\r\n+OK\r\n")
      #expect(try await client.getString("word") == "hello")
    }
  }

  @Test func aClientWithoutTLSSeesALostConnection() async throws {
    try await withCluster(links: certificates.router) { node in
      let client = client(node, nil)
      defer { client.close() }
      let error = await failure { _ = try await client.exists("key") }
      #expect(error?.code == .unavailable, "\(String(describing: error))")
    }
  }
}

// Messages of the client in gzip, as the wire has them.

import RingstoreClient
import TestSeeds
import Testing

@Suite(.timeLimit(.minutes(15))) struct ClientCompressionTests {
  private static let text = String(repeating: "the same words again and again, ", count: 1_000)

  /// Bytes that pass while a client works.
  private func bytes(
    _ compression: RingstoreClient.Compression,
    _ body: @escaping (RingstoreClient) async throws -> Void
  ) async throws -> Int {
    var passed = 0
    try await TestCluster.withRouterNode { node in
      let relay = try await Relay.start(to: node.port)
      var configuration = RingstoreClient.Configuration.patient
      configuration.compression = compression
      let client = RingstoreClient(
        host: "127.0.0.1", port: relay.port, configuration: configuration)
      try await body(client)
      passed = relay.bytes
      client.close()
      await relay.close()
    }
    return passed
  }

  @Test(arguments: [(RingstoreClient.Compression.none, false), (.gzip, true)])
  func valuesGoAndComeInGzipWhereThatIsRequested(
    _ compression: RingstoreClient.Compression, isShort: Bool
  ) async throws {
    let text = Self.text
    let passed = try await bytes(compression) { client in
      try await client.set("key", to: text)
      #expect(try await client.getString("key") == text)
    }
    // Once to the node, and once back. (Longer replies of routers come in pieces, as they are.)
    #expect((passed < text.utf8.count / 2) == isShort, "\(passed) bytes")
    #expect(isShort || passed > 2 * text.utf8.count)
  }

  @Test func aPipelineGoesInGzipAsWell() async throws {
    let text = Self.text
    let passed = try await bytes(.gzip) { client in
      let commands = (0..<10).map { RingstoreCommand.set("key\($0)", to: text) }
      for outcome in await client.pipeline(commands) { _ = try outcome.value() }
      #expect(try await client.getString("key9") == text)
    }
    #expect(passed < text.utf8.count, "\(passed) bytes")
  }

  @Test func whatDoesNotGetShorterIsSentAsItIs() async throws {
    var random = SeededRandom.forTest()
    let value = (0..<10_000).map { _ in UInt8.random(in: 0...255, using: &random) }
    let passed = try await bytes(.gzip) { client in
      try await client.set("key", to: value)
      #expect(try await client.get("key") == value)
    }
    #expect(passed > 2 * value.count)
  }
}

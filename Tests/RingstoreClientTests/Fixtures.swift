// A cluster inside the test's process, with real sockets on free ports of the loopback, and a
// client for it.

import Logging
import Placement
import RingstoreClient
import RouterNode
import ShardNode
import ringstore

enum TestCluster {
  private static let logs = NodeLogs(level: .critical) { _ in }

  /// Runs `body` with a client of a router with two shards.
  static func withRouter(
    database: UInt32 = 0, _ body: (RingstoreClient) async throws -> Void
  ) async throws {
    let shards = ["a", "b"].map { id in
      var shard = ShardConfiguration(id: id)
      shard.port = 0
      shard.drainSeconds = 1
      return shard
    }
    var router = RouterConfiguration(shards: [])
    router.port = 0
    router.drainSeconds = 1
    try await with(
      try await RunningNode(router, withShards: shards, logs), database: database, body)
  }

  /// Runs `body` with a client of one shard that no router has met.
  static func withShard(_ body: (RingstoreClient) async throws -> Void) async throws {
    var shard = ShardConfiguration(id: "alone")
    shard.port = 0
    shard.drainSeconds = 1
    try await with(try await RunningNode(shard, logs), body)
  }

  private static func with(
    _ node: RunningNode, database: UInt32 = 0, _ body: (RingstoreClient) async throws -> Void
  ) async throws {
    var configuration = RingstoreClient.Configuration()
    configuration.database = database
    let client = RingstoreClient(host: "127.0.0.1", port: node.port, configuration: configuration)
    do {
      try await body(client)
    } catch {
      client.close()
      await node.drain()
      throw error
    }
    client.close()
    await node.drain()
  }
}

extension Result where Failure == RingstoreError {
  /// The reason of a failure; nil for a success.
  var reason: RingstoreError.Reason? {
    if case .failure(let error) = self { error.reason } else { nil }
  }

  /// `get` with an untyped error, as `#expect` wants it.
  func value() throws -> Success { try get() }
}

/// The error that the call throws; nil if it throws none.
func failure(_ body: () async throws -> Void) async -> RingstoreError? {
  do {
    try await body()
    return nil
  } catch {
    return error as? RingstoreError
  }
}

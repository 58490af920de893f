// A cluster inside the test's process, with real sockets on free ports of the loopback, and a
// client for it.

import Logging
import Placement
import RingstoreClient
import RouterNode
import ShardNode
import ringstore

extension RingstoreClient.Configuration {
  /// Of a client whose machine may be busy with other tests: only tests of time-outs see any.
  static var patient: Self {
    var configuration = Self()
    configuration.timeout = .seconds(3_600)
    configuration.connectTimeout = .seconds(600)
    return configuration
  }
}

enum TestCluster {
  private static let logs = NodeLogs(level: .critical) { _ in }
  /// Each cluster has threads of its own and takes a shard that is silent for a second for dead, so
  /// that on a small machine only a few can be up at a time.
  private static let gate = Gate(2)

  /// Runs `body` with a client of a router with two shards.
  static func withRouter(
    database: UInt32 = 0, maxMessageBytes: Int = 4 << 20,
    _ body: (RingstoreClient) async throws -> Void
  ) async throws {
    try await withRouterNode(maxMessageBytes: maxMessageBytes) { node in
      try await with(node, database: database, maxMessageBytes: maxMessageBytes, body)
    }
  }

  /// Runs `body` with a client of one shard that no router has met.
  static func withShard(_ body: (RingstoreClient) async throws -> Void) async throws {
    var shard = ShardConfiguration(id: "alone")
    shard.port = 0
    shard.drainSeconds = 1
    try await running {
      try await RunningNode(shard, logs)
    } body: {
      try await with($0, body)
    }
  }

  /// Runs `body` with a router with two shards.
  ///
  /// - Parameter onShutdown: what the nodes call when they were asked to end.
  static func withRouterNode(
    maxMessageBytes: Int = 4 << 20, onShutdown: @escaping @Sendable () -> Void = {},
    _ body: (RunningNode) async throws -> Void
  ) async throws {
    let shards = ["a", "b"].map { id in
      var shard = ShardConfiguration(id: id)
      shard.port = 0
      shard.drainSeconds = 1
      shard.limits.maxMessageBytes = maxMessageBytes
      return shard
    }
    var router = RouterConfiguration(shards: [])
    router.port = 0
    router.drainSeconds = 1
    // On a busy machine a shard gets no core for seconds, and is not lost for it.
    router.linkLimits.silenceNanosMax = 600 * 1_000_000_000
    router.limits.maxMessageBytes = maxMessageBytes
    try await running {
      try await RunningNode(router, withShards: shards, logs, onShutdown: onShutdown)
    } body: { node in
      try await waitForLinks(of: node)
      try await body(node)
    }
  }

  /// A router starts even where its shards can't be reached in time, as on a machine that is busy.
  private static func waitForLinks(of node: RunningNode) async throws {
    let client = RingstoreClient(host: "127.0.0.1", port: node.port, configuration: .patient)
    defer { client.close() }
    while try await !client.describe().nodes.allSatisfy({ $0.state == .serving }) {
      try await Task.sleep(for: .milliseconds(5))
    }
  }

  private static func running(
    _ start: () async throws -> RunningNode, body: (RunningNode) async throws -> Void
  ) async throws {
    try await gate.pass {
      let node = try await start()
      do {
        try await body(node)
      } catch {
        await node.drain()
        throw error
      }
      await node.drain()
    }
  }

  private static func with(
    _ node: RunningNode, database: UInt32 = 0, maxMessageBytes: Int = 4 << 20,
    _ body: (RingstoreClient) async throws -> Void
  ) async throws {
    var configuration = RingstoreClient.Configuration.patient
    configuration.database = database
    configuration.maxMessageBytes = maxMessageBytes
    let client = RingstoreClient(host: "127.0.0.1", port: node.port, configuration: configuration)
    defer { client.close() }
    try await body(client)
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

/// Lets so many through at a time.
actor Gate {
  private var free: Int
  private var waiters: [CheckedContinuation<Void, Never>] = []

  init(_ count: Int) { free = count }

  nonisolated func pass(_ body: () async throws -> Void) async throws {
    await enter()
    do {
      try await body()
    } catch {
      await leave()
      throw error
    }
    await leave()
  }

  private func enter() async {
    if free > 0 {
      free -= 1
    } else {
      await withCheckedContinuation { waiters.append($0) }
    }
  }

  private func leave() {
    if waiters.isEmpty { free += 1 } else { waiters.removeFirst().resume() }
  }
}

extension RingstoreReply {
  /// Of a value that was found.
  var bytes: [UInt8]? {
    if case .value(let value?) = self { value.bytes } else { nil }
  }
}

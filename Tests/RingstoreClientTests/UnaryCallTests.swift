// What the calls of this version ask and read, against a node that replies what a test says.

import GRPC
import ProtobufMessages
import RingstoreAPI
import RingstoreClient
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(15))) struct UnaryCallTests {
  /// Runs `body` with a client of a node that gives one reply; returns the request.
  private func sent(
    _ reply: [UInt8], _ body: (RingstoreClient) async throws -> Void
  ) async throws -> [UInt8] {
    let request = Mutex<[UInt8]>([])
    var script = NodeScript()
    script.unary = { _, message in
      request.withLock { $0 = message }
      return .success(reply)
    }
    try await ScriptedNode.with(script) { client, _ in try await body(client) }
    return request.withLock { $0 }
  }

  @Test func aPageOfKeysHasATokenForTheNext() async throws {
    let reply = Ringstore_V1_KeysResponse.with {
      $0.keys = [.init([1]), .init([2])]
      $0.nextPageToken = .init([9, 9])
      $0.unreachable = [.with { $0.reason = "SHARD_UNAVAILABLE" }]
    }
    let message = try await sent(try reply.serializedBytes()) { client in
      let page = try await client.keys(
        matching: .prefix("p"), limit: 2, pageToken: [7], allowPartial: true,
        options: .init(database: 5))
      #expect(page.keys == [[1], [2]])
      #expect(page.nextPageToken == [9, 9])
      #expect(page.unreachable.map(\.reason) == [.shardUnavailable])
    }
    let request = try Ringstore_V1_KeysRequest(serializedBytes: message)
    #expect(request.pattern.prefix == .init([0x70]))
    #expect(request.limit == 2)
    #expect(request.pageToken == .init([7]))
    #expect(request.allowPartial)
    #expect(request.database == 5)
  }

  @Test func rangesOfManyListsHaveAnOutcomeEach() async throws {
    let reply = Ringstore_V1_MLRangeResponse.with {
      $0.items = [
        .with {
          $0.list = .with {
            $0.values = [.init([1]), .init([2])]
            $0.found = true
            $0.length = 7
            $0.firstIndex = 3
          }
        },
        .with {
          $0.error = .with {
            $0.code = 9
            $0.reason = "WRONG_TYPE"
          }
        },
      ]
    }
    let message = try await sent(try reply.serializedBytes()) { client in
      let ranges = [RingstoreListRange("a", 3, 4), RingstoreListRange("b")]
      let outcomes = try await client.multiRange(ranges, options: .init(database: 2))
      let list = try outcomes[0].value()
      #expect(list.values == [[1], [2]])
      #expect(list.length == 7)
      #expect(list.firstIndex == 3)
      #expect(outcomes[1].reason == .wrongType)
    }
    let request = try Ringstore_V1_MLRangeRequest(serializedBytes: message)
    #expect(request.ranges.map(\.start) == [3, 0])
    #expect(request.ranges.map(\.stop) == [4, -1])
    #expect(request.ranges.map(\.database) == [2, 2])
  }

  @Test func noRangesSendNothing() async throws {
    let unreachable = RingstoreClient(host: "127.0.0.1", port: 1, configuration: .patient)
    #expect(try await unreachable.multiRange([]).isEmpty)
    unreachable.close()
  }

  @Test func countersAreReadByName() async throws {
    let reply = Ringstore_V1_StatsResponse.with { $0.counters = ["calls": 12, "keys": -1] }
    _ = try await sent(try reply.serializedBytes()) { client in
      let counters = try await client.stats()
      #expect(counters == ["calls": 12, "keys": -1])
    }
  }

  @Test(arguments: [true, false])
  func aShutdownSaysHowFarItGoes(wholeCluster: Bool) async throws {
    let message = try await sent([]) { try await $0.shutdown(wholeCluster: wholeCluster) }
    let request = try Ringstore_V1_ShutdownRequest(serializedBytes: message)
    #expect(request.wholeCluster == wholeCluster)
  }

  @Test func valuesBeyondTheUsualLimitPassWhereBothSidesAllowIt() async throws {
    let value = [UInt8](repeating: 3, count: 9 << 20)
    let reply =
      try Ringstore_V1_Value.with {
        $0.value = .init(value)
        $0.found = true
      }.serializedBytes() as [UInt8]
    var script = NodeScript()
    script.unary = { _, _ in .success(reply) }
    var configuration = RingstoreClient.Configuration.patient
    try await ScriptedNode.with(script, configuration) { client, _ in
      #expect(await failure { _ = try await client.get("k") }?.code == .resourceExhausted)
    }
    configuration.maxMessageBytes = 64 << 20
    try await ScriptedNode.with(script, configuration) { client, _ in
      let read = try await client.get("k")
      #expect(read == value)
    }
  }
}

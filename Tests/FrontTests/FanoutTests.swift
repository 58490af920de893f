// Calls on many keys and on every shard: the same at both ends. What differs is tested where it
// differs: turns and slices on a shard (ShardFanoutTests), shards that are away on a router
// (RouterFanoutTests).

import Commands
import NodeCore
import ProtobufMessages
import RingstoreAPI
import Testing

@Suite(.serialized, .timeLimit(.minutes(15)))
struct FanoutTests {
  private func fill(_ node: ServedNode, _ keys: some Sequence<String>) async throws {
    let request = Ringstore_V1_MSetRequest.with {
      $0.items = keys.map { Requests.set($0, "v") }
    }
    let response: Ringstore_V1_MSetResponse = try await node.response(.mSet, request)
    #expect(response.items.allSatisfy { $0.status.ok })
  }

  @Test(arguments: End.allCases)
  func itemsComeInRequestOrderEachWithItsOwnOutcome(_ end: End) async throws {
    try await end.serve { node in
      try await fill(node, ["a"])
      _ = try await node.call(.rPush, Requests.push("l", ["1"])).get()
      let request = Ringstore_V1_MGetRequest.with {
        $0.keys = ["a", "missing", "", "l", "a"].map(Requests.key)
      }
      let items = try await (node.response(.mGet, request) as Ringstore_V1_MGetResponse).items
      try #require(items.count == 5)
      #expect(items[0].value.value == .init("v".utf8))
      #expect(items[1].outcome == .value(Ringstore_V1_Value()))
      #expect(items[2].error.reason == "INVALID_KEY")
      #expect(items[3].error.reason == "WRONG_TYPE")
      #expect(items[4].value.found)
    }
  }

  @Test(arguments: End.allCases)
  func writesOfOneKeyTakeEffectInRequestOrder(_ end: End) async throws {
    try await end.serve { node in
      let request = Ringstore_V1_MSetRequest.with {
        $0.items = (0..<600).map { Requests.set("k", "\($0)") }
      }
      let response: Ringstore_V1_MSetResponse = try await node.response(.mSet, request)
      #expect(response.items.count == 600 && response.items.allSatisfy { $0.status.ok })
      let value: Ringstore_V1_Value = try await node.response(.get, Requests.key("k"))
      #expect(value.value == .init("599".utf8))
    }
  }

  @Test(arguments: End.allCases)
  func keysFindsWhatMatchesEachKeyOnce(_ end: End) async throws {
    try await end.serve { node in
      var request = Ringstore_V1_KeysRequest()
      let none: Ringstore_V1_KeysResponse = try await node.response(.keys, request)
      #expect(none.keys.isEmpty)
      try await fill(node, (0..<5_000).map { "key:\($0)" } + ["other"])
      request.pattern.glob = .init("key:*".utf8)
      let response: Ringstore_V1_KeysResponse = try await node.response(.keys, request)
      #expect(response.keys.count == 5_000 && Set(response.keys).count == 5_000)
    }
  }

  @Test(arguments: End.allCases)
  func aResetEmptiesOneDatabaseOrAll(_ end: End) async throws {
    try await end.serve { node in
      for database in [UInt32(0), 1, 2] {
        var request = Requests.set("k", "v")
        request.database = database
        _ = try await node.call(.set, request).get()
      }
      let one: Ringstore_V1_ResetResponse = try await node.response(
        .reset, Ringstore_V1_ResetRequest())
      #expect(one.keysRemoved == 1)
      let rest: Ringstore_V1_ResetResponse = try await node.response(
        .reset, Ringstore_V1_ResetRequest.with { $0.allDatabases = true })
      #expect(rest.keysRemoved == 2)
      let left: Ringstore_V1_DbSizeResponse = try await node.response(
        .dbSize, Ringstore_V1_DbSizeRequest.with { $0.allDatabases = true })
      #expect(left.keys == 0)
    }
  }

  @Test(arguments: End.allCases)
  func aReplyBeyondTheMessageLimitFailsAsAWhole(_ end: End) async throws {
    var limits = Limits()
    limits.maxMessageBytes = 10_000
    try await end.serve(limits: limits) { node in
      for batch in 0..<4 {
        try await fill(node, (0..<50).map { "\(batch).\($0)" + String(repeating: "k", count: 100) })
      }
      let error = await node.call(.keys, Ringstore_V1_KeysRequest()).error
      #expect(error?.reason == .responseTooLarge)
    }
  }

  @Test(arguments: End.allCases)
  func tooManyItemsAreRefused(_ end: End) async throws {
    try await end.serve { node in
      let request = Ringstore_V1_MGetRequest.with {
        $0.keys = Array(repeating: Requests.key("k"), count: Limits().maxItems + 1)
      }
      #expect(await node.call(.mGet, request).error?.reason == .tooManyItems)
    }
  }

  @Test(arguments: End.allCases)
  func largeItemsAreGathered(_ end: End) async throws {
    try await end.serve { node in
      let text = String(repeating: "0123456789", count: 100_000)
      _ = try await node.call(.set, Requests.set("large", text)).get()
      let values = (0..<10_000).map { "value \($0)" }
      _ = try await node.call(.rPush, Requests.push("l", values)).get()
      let keys = Ringstore_V1_MGetRequest.with {
        $0.keys = ["large", "missing", "large"].map(Requests.key)
      }
      let got = try await (node.response(.mGet, keys) as Ringstore_V1_MGetResponse).items
      #expect(got.map(\.value.found) == [true, false, true])
      #expect(got.last?.value.value.elementsEqual(text.utf8) == true)
      let ranges = Ringstore_V1_MLRangeRequest.with {
        $0.ranges = [Requests.range("l", 0, -1), Requests.range("l", 0, 1)]
      }
      let lists = try await (node.response(.mLRange, ranges) as Ringstore_V1_MLRangeResponse).items
      try #require(lists.count == 2)
      let wanted = values.map { Array($0.utf8) }
      #expect(lists[0].list.values.map { Array($0) } == wanted)
      #expect(lists[1].list.values.count == 2)
    }
  }
}

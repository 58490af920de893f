// The client against real nodes: each call through a router and, where it matters, a lone shard.

import RingstoreClient
import Testing

@Suite(.timeLimit(.minutes(15))) struct ClientTests {
  @Test func valuesComeBackByteForByte() async throws {
    try await TestCluster.withRouter { client in
      let value: [UInt8] = Array(0...255)
      let key: [UInt8] = [0, 0xff, 0x0a]
      try await client.set(key, to: value)
      #expect(try await client.get(key) == value)
      #expect(try await client.get("missing") == nil)
      try await client.set("empty", to: "")
      #expect(try await client.get("empty") == [])
      let large = [UInt8](repeating: 7, count: 1 << 20)
      try await client.set("large", to: large)
      #expect(try await client.get("large") == large)
    }
  }

  @Test func textIsReadStrictly() async throws {
    try await TestCluster.withShard { client in
      try await client.set("text", to: "é\u{0}中")
      #expect(try await client.getString("text") == "é\u{0}中")
      #expect(try await client.getString("missing") == nil)
      try await client.set("bytes", to: [0xff] as [UInt8])
      #expect(await failure { _ = try await client.getString("bytes") }?.reason == .notUTF8)
    }
  }

  @Test func keysAreCountedFoundAndRemoved() async throws {
    try await TestCluster.withRouter { client in
      try await client.set("a", to: "1")
      #expect(try await client.exists("a"))
      #expect(try await client.type(of: "a") == .string)
      #expect(try await client.type(of: "b") == .none)
      #expect(try await client.incrBy("a", 41) == 42)
      #expect(try await client.incrBy("n", -1) == -1)
      #expect(try await client.delete("a"))
      #expect(try await client.delete("a") == false)
      #expect(try await client.exists("a") == false)
    }
  }

  @Test func versionsGrow() async throws {
    try await TestCluster.withRouter { client in
      let first = try await client.set("k", to: "1")
      #expect(try await client.set("k", to: "2") > first)
    }
  }

  @Test func stringsGrow() async throws {
    try await TestCluster.withRouter { client in
      #expect(try await client.strLen("text") == 0)
      #expect(try await client.append("text", "ab") == 2)
      #expect(try await client.append("text", "c") == 3)
      #expect(try await client.strLen("text") == 3)
      let text = try await client.getString("text")
      #expect(text == "abc")
    }
  }

  @Test func valuesAreTakenAndChangedInParts() async throws {
    try await TestCluster.withRouter { client in
      #expect(try await client.setRange("text", at: 2, "ab") == 4)
      #expect(try await client.getRange("text", 2, -1) == Array("ab".utf8))
      #expect(try await client.getRange("none", 0, -1) == nil)
      let longer = try await client.getEx("text", expiring: .after(.seconds(60)))
      #expect(longer?.remaining == .seconds(60))
      let before = try await client.getSet("text", to: "new")
      #expect(before?.bytes == Array("\0\0ab".utf8) && before?.remaining != nil)
      let taken = try await client.getDel("text")
      #expect(taken?.bytes == Array("new".utf8))
      #expect(try await client.getDel("text") == nil)
      #expect(try await client.incrBy("hits", expiringNewAfter: .seconds(60)) == 1)
      let time = try await client.ttl(of: "hits")
      #expect(time?.remaining != nil)
    }
  }

  @Test func listsWorkAtBothEnds() async throws {
    try await TestCluster.withRouter { client in
      #expect(try await client.rPush("l", ["b", "c"]) == 2)
      #expect(try await client.lPush("l", ["a", "z"]) == 4)
      let all = try await client.lRange("l")
      #expect(all.values == ["z", "a", "b", "c"].map { Array($0.utf8) })
      #expect(all.length == 4)
      let part = try await client.lRange("l", -2, 9)
      #expect(part.values == ["b", "c"].map { Array($0.utf8) })
      #expect(part.firstIndex == 2)
      #expect(try await client.lLen("l") == 4)
      #expect(try await client.lPop("l") == Array("z".utf8))
      #expect(try await client.rPop("l") == Array("c".utf8))
      #expect(try await client.lPop("none") == nil)
      #expect(try await client.lRange("none").found == false)
      #expect(try await client.type(of: "l") == .list)
    }
  }

  /// A call that did not wait would return nil: no value is there until the call is parked.
  @Test func popsAndMovesWaitForAValue() async throws {
    try await TestCluster.withRouter { client in
      async let popped = client.lPop("{q}jobs", waiting: .seconds(600))
      try await parked(client)
      try await client.rPush("{q}jobs", ["a"])
      #expect(try await popped == Array("a".utf8))
      async let moved = client.lMove(
        "{q}jobs", .head, to: "{q}done", .tail, waiting: .seconds(600))
      try await parked(client)
      try await client.rPush("{q}jobs", ["b"])
      #expect(try await moved == Array("b".utf8))
      #expect(try await client.lRange("{q}done").values == [Array("b".utf8)])
      let none = try await client.lMove(
        "{q}jobs", .head, to: "{q}done", .tail, waiting: .milliseconds(1))
      #expect(none == nil)
    }
  }

  /// Returns when a call waits for a value.
  private func parked(_ client: RingstoreClient) async throws {
    while try await client.stats()["ringstore_parked_calls"] == 0 { await Task.yield() }
  }

  @Test func listsAreChangedByIndexAndRange() async throws {
    try await TestCluster.withRouter { client in
      #expect(try await client.rPush("l", ["x"], onlyIfPresent: true) == 0)
      #expect(try await !client.exists("l"))
      try await client.rPush("l", ["a", "b", "c", "d", "e", "f"])
      #expect(try await client.lPush("l", ["z"], onlyIfPresent: true) == 7)
      #expect(try await client.lIndex("l", -1) == Array("f".utf8))
      #expect(try await client.lIndex("l", .min) == nil)
      try await client.lSet("l", 1, to: "A")
      #expect(try await client.lTrim("l", 1, -1) == 6)
      #expect(try await client.lPop("l", count: 2) == ["A", "b"].map { Array($0.utf8) })
      #expect(try await client.rPop("l", count: 2) == ["f", "e"].map { Array($0.utf8) })
      #expect(try await client.lPop("l", count: -1) == [])
      #expect(try await client.lPop("l", count: .max).count == 2)
      #expect(try await client.rPop("l", count: 1) == [])
      await #expect { try await client.lSet("l", 0, to: "x") } throws: {
        ($0 as? RingstoreError)?.reason == .noSuchKey
      }
    }
  }

  @Test func listsAreSearchedAndMoved() async throws {
    try await TestCluster.withRouter { client in
      try await client.rPush("{t}l", ["a", "b", "a", "c", "a"])
      #expect(try await client.lPos("{t}l", "c") == 3)
      #expect(try await client.lPos("{t}l", "a", rank: -1) == 4)
      #expect(try await client.lPos("{t}l", "x") == nil)
      #expect(try await client.lPos("{t}l", all: "a") == [0, 2, 4])
      #expect(try await client.lPos("{t}l", all: "a", rank: -1, count: 2) == [4, 2])
      #expect(try await client.lRem("{t}l", "a", count: -2) == 2)
      #expect(try await client.lInsert("{t}l", "z", .after, "b") == 4)
      #expect(try await client.lInsert("{t}l", "z", .before, "x") == nil)
      #expect(try await client.lMove("{t}l", .tail, to: "{t}m", .head) == Array("c".utf8))
      #expect(try await client.lMove("{t}none", .head, to: "{t}m", .head) == nil)
      let left = try await client.lRange("{t}l").values
      #expect(left == ["a", "b", "z"].map { Array($0.utf8) })
      await #expect { try await client.lMove("{t}l", .head, to: "other", .tail) } throws: {
        ($0 as? RingstoreError)?.reason == .crossSlot
      }
    }
  }

  @Test func manyKeysHaveAnOutcomeEach() async throws {
    try await TestCluster.withRouter { client in
      try await client.rPush("list", ["x"])
      let stored = try await client.mSet([(key: "a", value: "1"), (key: "", value: "2")])
      #expect(stored.map(\.reason) == [nil, .invalidKey])
      let read = try await client.mGet(["a", "missing", "list"])
      #expect(try read[0].value() == Array("1".utf8))
      #expect(try read[1].value() == .some(nil))
      #expect(read[2].reason == .wrongType)
      let removed = try await client.mDelete(["a", "missing"])
      #expect(try removed.map { try $0.value() } == [true, false])
      #expect(try await client.mGet([String]()).isEmpty)
    }
  }

  @Test func theKeyspaceIsListedCountedAndEmptied() async throws {
    try await TestCluster.withRouter { client in
      for number in 0..<20 { try await client.set("key:\(number)", to: "v") }
      try await client.set("other", to: "v", options: .init(database: 3))
      #expect(try await client.keys().count == 20)
      #expect(try await client.keys(matching: .glob("key:1?")).count == 10)
      #expect(try await client.keys(matching: .regex("key:(1|2)$")).count == 2)
      #expect(try await client.keys(matching: .prefix("key:2")).map { $0.count } == [5])
      #expect(try await client.dbSize() == 20)
      #expect(try await client.dbSize(.allDatabases) == 21)
      #expect(try await client.reset() == 20)
      #expect(try await client.reset(.allDatabases) == 1)
    }
  }

  @Test func whereEveryShardRepliesPartialKeysAreComplete() async throws {
    try await TestCluster.withRouter { client in
      for number in 0..<50 { try await client.set("k\(number)", to: "v") }
      let found = try await client.reachableKeys(matching: .prefix("k"))
      #expect(Set(found.keys).count == 50)
      #expect(found.unreachable.isEmpty)
    }
  }

  @Test func theDatabaseOfTheClientIsUsedUnlessACallSaysOtherwise() async throws {
    try await TestCluster.withRouter(database: 2) { client in
      try await client.set("k", to: "two")
      #expect(try await client.getString("k") == "two")
      #expect(try await client.getString("k", options: .init(database: 0)) == nil)
      #expect(try await client.getString("k", options: .init(database: 2)) == "two")
      try await client.rPush("l", ["x"])
      #expect(try await client.incrBy("n", 3) == 3)
      #expect(try await client.lRange("l").values == [Array("x".utf8)])
      #expect(try await client.lRange("l", options: .init(database: 0)).found == false)
      #expect(try await client.dbSize(options: .init(database: 2)) == 3)
      let missing = await failure { _ = try await client.get("k", options: .init(database: 16)) }
      #expect(missing?.reason == .noSuchDatabase)
    }
  }

  @Test func theClusterIsDescribed() async throws {
    try await TestCluster.withRouter { client in
      try await client.set("k", to: "v")
      let cluster = try await client.describe()
      #expect(cluster.cluster == "ringstore")
      #expect(cluster.shards.map(\.id) == ["a", "b"])
      #expect(cluster.shards.map(\.slots).reduce(0, +) == 16_384)
      #expect(cluster.nodes.map(\.role) == [.router, .shard, .shard])
      #expect(cluster.nodes.allSatisfy { $0.state == .serving })
      #expect(cluster.nodes.map(\.keys).reduce(0, +) == 1)
    }
  }

  @Test func errorsSayWhatIsWrongAndThatNothingHappened() async throws {
    try await TestCluster.withRouter { client in
      try await client.set("s", to: "text")
      let wrongType = await failure { _ = try await client.lPush("s", ["x"]) }
      #expect(wrongType?.code == .failedPrecondition)
      #expect(wrongType?.reason == .wrongType)
      #expect(wrongType?.isOutcomeUnknown == false)
      #expect(await failure { _ = try await client.incrBy("s") }?.reason == .notAnInteger)
      #expect(await failure { _ = try await client.get("") }?.reason == .invalidKey)
      let pattern = await failure { _ = try await client.keys(matching: .regex("(")) }
      #expect(pattern?.reason == .badPattern)
    }
  }

  @Test func manyTasksShareOneClient() async throws {
    try await TestCluster.withRouter { client in
      try await withThrowingTaskGroup { group in
        for task in 0..<50 {
          group.addTask {
            for round in 0..<10 {
              try await client.set("t\(task)", to: "\(round)")
              #expect(try await client.getString("t\(task)") == "\(round)")
            }
          }
        }
        try await group.waitForAll()
      }
      #expect(try await client.dbSize() == 50)
    }
  }

  @Test func aClosedClientAndAMissingServerAreUnavailable() async throws {
    try await TestCluster.withShard { client in
      try await client.set("k", to: "v")
      client.close()
      let closed = await failure { try await client.set("k", to: "w") }
      #expect(closed?.code == .unavailable)
      #expect(closed?.isOutcomeUnknown == false)
    }
    // Port 1 is unused on a test machine; a refused connection is reported at once.
    let unreachable = RingstoreClient(host: "127.0.0.1", port: 1, configuration: .patient)
    let refused = await failure { try await unreachable.set("k", to: "v") }
    #expect(refused?.code == .unavailable)
    #expect(refused?.isOutcomeUnknown == false)
    unreachable.close()
  }

  @Test func aDeadlineThatHasPassedIsReported() async throws {
    try await TestCluster.withShard { client in
      let late = await failure { _ = try await client.get("k", options: .init(timeout: .zero)) }
      #expect(late?.code == .deadlineExceeded)
    }
  }
}

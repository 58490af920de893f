// Streams and the calls on every shard against real nodes: a router with its shards, and a shard
// alone.

import RingstoreClient
import Synchronization
import Testing
import ringstore

@Suite(.timeLimit(.minutes(15))) struct ClusterStreamTests {
  @Test(arguments: [true, false])
  func aScanFindsEveryKeyOfItsDatabaseAndType(throughRouter: Bool) async throws {
    let run = throughRouter ? { try await TestCluster.withRouter($0) } : TestCluster.withShard
    try await run { client in
      let sets = (0..<3_000).map { RingstoreCommand.set("key:\($0)", to: "v") }
      let pushes = (0..<300).map { RingstoreCommand.rPush("list:\($0)", ["v"]) }
      for outcome in await client.pipeline(sets + pushes) { _ = try outcome.value() }
      try await client.set("elsewhere", to: "v", options: .init(database: 1))

      var found: [String: Int] = [:]
      for try await key in client.scan(pageSize: 100).keys {
        found[String(decoding: key, as: UTF8.self), default: 0] += 1
      }
      #expect(found.count == 3_300)
      #expect(found.values.allSatisfy { $0 == 1 })

      var lists = 0
      for try await _ in client.scan(type: .list).keys { lists += 1 }
      #expect(lists == 300)
      var matching = 0
      for try await _ in client.scan(matching: .glob("*:29?")).keys { matching += 1 }
      #expect(matching == 20)
    }
  }

  @Test func aScanContinuesWithTheTokenOfAnyPage() async throws {
    try await TestCluster.withRouter { client in
      let sets = (0..<2_000).map { RingstoreCommand.set("key:\($0)", to: "v") }
      for outcome in await client.pipeline(sets) { _ = try outcome.value() }
      var found: Set<[UInt8]> = []
      var token: [UInt8] = []
      var pages = 0
      var done: [Int] = []
      // Each page by a scan of its own.
      while true {
        var iterator = client.scan(pageSize: 50, resumeToken: token).makeAsyncIterator()
        guard let page = try await iterator.next() else { break }
        found.formUnion(page.keys)
        done.append(page.slotsDone)
        pages += 1
        if page.slotsDone == 16_384 || page.resumeToken == token { break }
        token = page.resumeToken
      }
      #expect(found.count == 2_000)
      #expect(pages > 10)
      #expect(done == done.sorted())
      let forged = client.scan(resumeToken: [1, 2, 3])
      #expect(await failure { for try await _ in forged {} }?.reason == .badPageToken)
    }
  }

  @Test func aBrokenConnectionLosesNoKeyOfAScan() async throws {
    try await TestCluster.withRouterNode { node in
      let relay = try await Relay.start(to: node.port)
      let client = RingstoreClient(
        host: "127.0.0.1", port: relay.port, configuration: .patient)
      // 8 MB of names, of which a connection brings two at most before it is cut: 10 pages, and the
      // stream's window, which the client holds already.
      let padding = String(repeating: "x", count: 1_000)
      let sets = (0..<8_000).map { RingstoreCommand.set("key:\($0):\(padding)", to: "v") }
      for outcome in await client.pipeline(sets) { _ = try outcome.value() }
      var found: Set<[UInt8]> = []
      var pages = 0
      for try await page in client.scan(pageSize: 100) {
        found.formUnion(page.keys)
        pages += 1
        if pages.isMultiple(of: 10) { relay.cut() }
      }
      #expect(found.count == 8_000)
      #expect(relay.accepted > 2)
      client.close()
      await relay.close()
    }
  }

  @Test func pagesOfKeysHaveAllOfThemOnce() async throws {
    try await TestCluster.withRouter { client in
      let sets = (0..<1_003).map { RingstoreCommand.set("key:\($0)", to: "v") }
      for outcome in await client.pipeline(sets) { _ = try outcome.value() }
      var sizes: [Int] = []
      var found: Set<[UInt8]> = []
      var token: [UInt8] = []
      repeat {
        let page = try await client.keys(matching: .prefix("key:"), limit: 100, pageToken: token)
        sizes.append(page.keys.count)
        found.formUnion(page.keys)
        token = page.nextPageToken
      } while !token.isEmpty
      #expect(sizes.prefix(10) == Array(repeating: 100, count: 10)[...])
      #expect(sizes.reduce(0, +) == 1_003)
      #expect(found.count == 1_003)
    }
  }

  @Test(arguments: [true, false])
  func aListStreamShowsOneStateOfALongList(throughRouter: Bool) async throws {
    let run = throughRouter ? { try await TestCluster.withRouter($0) } : TestCluster.withShard
    try await run { client in
      let padding = String(repeating: "x", count: 1_000)
      for hundred in 0..<50 {
        try await client.rPush("l", (0..<100).map { "\(hundred * 100 + $0):\(padding)" })
      }
      // More than one message holds.
      #expect(await failure { _ = try await client.lRange("l") }?.reason == .responseTooLarge)
      var numbers: [Int] = []
      for try await value in client.listStream("l") {
        // Writers don't disturb the view.
        if numbers.count == 10 { try await client.lPush("l", ["new"]) }
        if numbers.count == 20 { try await client.delete("l") }
        numbers.append(Int(String(decoding: value.prefix { $0 != 0x3a }, as: UTF8.self)) ?? -1)
      }
      #expect(numbers == Array(0..<5_000))
      var chunks = client.listStream("missing").chunks.makeAsyncIterator()
      let missing = try await chunks.next()
      #expect(missing?.found ?? false == false)
      try await client.set("s", to: "text")
      let wrong = client.listStream("s")
      #expect(await failure { for try await _ in wrong {} }?.reason == .wrongType)
    }
  }

  @Test func rangesOfManyListsComeInTheOrderOfTheRequest() async throws {
    try await TestCluster.withRouter { client in
      try await client.rPush("a", ["1", "2", "3"])
      try await client.rPush("b", ["4"])
      try await client.set("s", to: "text")
      let outcomes = try await client.multiRange([
        RingstoreListRange("b"), RingstoreListRange("a", 1, -1), RingstoreListRange("none"),
        RingstoreListRange("s"), RingstoreListRange("a", 0, 0),
      ])
      let texts = outcomes.map { outcome in
        (try? outcome.get())?.values.map { String(decoding: $0, as: UTF8.self) }
      }
      #expect(texts == [["4"], ["2", "3"], [], nil, ["1"]])
      #expect(outcomes[3].reason == .wrongType)
    }
  }

  @Test func valuesOfManyMebibytesPassBothWays() async throws {
    try await TestCluster.withRouter(maxMessageBytes: 64 << 20) { client in
      let value = [UInt8](repeating: 7, count: 24 << 20)
      try await client.set("large", to: value)
      let read = try await client.get("large")
      #expect(read == value)
      let outcomes = await client.pipeline([.get("large"), .get("small")])
      #expect(try outcomes[0].value().bytes == value)
      #expect(try outcomes[1].value() == .value(nil))
    }
  }

  @Test func everyNodeCounts() async throws {
    try await TestCluster.withRouter { client in
      try await client.set("k", to: "v")
      let counters = try await client.stats()
      #expect(!counters.isEmpty)
    }
    try await TestCluster.withShard { client in
      let counters = try await client.stats()
      #expect(!counters.isEmpty)
    }
  }

  @Test func aShutdownGetsAReplyAndStopsTheNode() async throws {
    let (told, tell) = AsyncStream.makeStream(of: Void.self)
    try await TestCluster.withRouterNode(onShutdown: { tell.yield() }) { node in
      let client = RingstoreClient(host: "127.0.0.1", port: node.port, configuration: .patient)
      try await client.shutdown()
      var iterator = told.makeAsyncIterator()
      await iterator.next()
      client.close()
    }
  }
}

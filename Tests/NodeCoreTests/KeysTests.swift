// Keys: all at once, or page by page with exactly as many keys as were asked for.

import NIOCore
import NodeCore
import ProtobufMessages
import RingstoreAPI
import TestSeeds
import Testing

@Suite struct KeysTests {
  private func port(
    shards: Int, keys: Int, visitsMax: Int = 5, hashPlaces: UInt64 = .max
  ) -> FakePort {
    let port = FakePort(shards: shards)
    for shard in port.shards.indices {
      port.shards[shard].visitsMax = visitsMax
      port.shards[shard].hashPlaces = hashPlaces
    }
    for number in 0..<keys { port.insert("key:\(number)") }
    return port
  }

  private func names(_ reply: Ringstore_V1_KeysResponse) -> [String] {
    reply.keys.map { String(decoding: $0, as: UTF8.self) }
  }

  /// Asks page after page, each time another router that knows nothing of the pages before.
  private func walk(
    limit: UInt32, keys: Int, _ make: () -> FakePort
  ) throws -> [[String]] {
    var pages: [[String]] = []
    var token: [UInt8] = []
    repeat {
      let port = make()
      let run = try OperationRun(.keys, Wish(limit: limit, token: token).keys, on: port)
      port.runAll()
      let reply = try run.reply(Ringstore_V1_KeysResponse.self)
      pages.append(names(reply))
      token = Array(reply.nextPageToken)
    } while !token.isEmpty && pages.count <= keys + 2
    return pages
  }

  @Test(arguments: [1, 4], [0, 1, 333])
  func withoutALimitAllKeysComeInOneReply(_ shards: Int, _ keys: Int) throws {
    let port = port(shards: shards, keys: keys)
    let run = try OperationRun(.keys, Wish().keys, on: port)
    port.runAll()
    let reply = try run.reply(Ringstore_V1_KeysResponse.self)
    #expect(Set(names(reply)).count == keys && reply.keys.count == keys)
    #expect(reply.nextPageToken.isEmpty)
    #expect(port.sent.allSatisfy { $0.part.lane == .bulk })
  }

  @Test(arguments: [1, 2, 6], [UInt32(1), 2, 7, 50, 119, 120, 121, 1_000])
  func aPageHasExactlyAsManyKeysAsWereRequestedWhileThereAreSoMany(
    _ shards: Int, _ limit: UInt32
  ) throws {
    let pages = try walk(limit: limit, keys: 120) { self.port(shards: shards, keys: 120) }
    for page in pages.dropLast() { #expect(page.count == limit) }
    let all = pages.flatMap { $0 }
    #expect(all.count == 120 && Set(all).count == 120)
    #expect(pages.count <= 120 / Int(limit) + 1)
  }

  @Test func keysThatShareAPlaceComeTogetherHoweverSmallThePage() throws {
    let pages = try walk(limit: 1, keys: 40) {
      let port = self.port(shards: 2, keys: 0, hashPlaces: 2)
      for number in 0..<40 { port.insert("{tag}\(number)") }
      return port
    }
    let all = pages.flatMap { $0 }
    #expect(all.count == 40 && Set(all).count == 40)
  }

  @Test func randomWalksGiveEveryKeyOnce() throws {
    for round in 0..<40 {
      var random = SplitMix64(seed: TestSeed.value &+ UInt64(round))
      let shards = Int.random(in: 1...8, using: &random)
      let keys = Int.random(in: 0...150, using: &random)
      let visits = Int.random(in: 1...20, using: &random)
      let places = random.chance(1, in: 3) ? UInt64(3) : .max
      var found: [String] = []
      var token: [UInt8] = []
      repeat {
        let port = port(shards: shards, keys: keys, visitsMax: visits, hashPlaces: places)
        let limit = UInt32.random(in: 1...30, using: &random)
        let run = try OperationRun(.keys, Wish(limit: limit, token: token).keys, on: port)
        while !port.waiting.isEmpty {
          port.run(Int.random(in: port.waiting.indices, using: &random))
        }
        let reply = try run.reply(Ringstore_V1_KeysResponse.self)
        found += names(reply)
        token = Array(reply.nextPageToken)
        if places == .max, !token.isEmpty { #expect(reply.keys.count == limit) }
      } while !token.isEmpty && found.count <= keys
      #expect(
        found.count == keys && Set(found).count == keys, "seed \(TestSeed.value), round \(round)")
    }
  }

  @Test func aPagesTokenServesKeysWithoutALimitAndScanAsWell() throws {
    let first = port(shards: 3, keys: 60)
    let page = try OperationRun(.keys, Wish(limit: 25).keys, on: first)
    first.runAll()
    let reply = try page.reply(Ringstore_V1_KeysResponse.self)
    let token = Array(reply.nextPageToken)
    let second = port(shards: 3, keys: 60)
    let rest = try OperationRun(.keys, Wish(token: token).keys, on: second)
    second.runAll()
    let remaining = names(try rest.reply(Ringstore_V1_KeysResponse.self))
    #expect(remaining.count == 35 && Set(remaining + names(reply)).count == 60)
    let third = port(shards: 3, keys: 60)
    let scan = try ScanOperationTests.Run(third, Wish(token: token))
    third.runAll()
    #expect(Set(scan.keys) == Set(remaining))
  }

  @Test func aPageEndsEarlyWhereTheMessageLimitIsMetAndContinuesBehindIt() throws {
    func narrow() -> FakePort {
      let port = FakePort(shards: 3)
      port.limits.maxMessageBytes = 1_000
      for number in 0..<50 { port.insert("\(number):" + String(repeating: "k", count: 100)) }
      return port
    }
    let pages = try walk(limit: 40, keys: 50, narrow)
    #expect(pages.allSatisfy { $0.count < 10 } && pages.count > 5)
    #expect(Set(pages.flatMap { $0 }).count == 50 && pages.flatMap { $0 }.count == 50)
    let whole = narrow()
    let run = try OperationRun(.keys, Wish().keys, on: whole)
    whole.runAll()
    #expect(run.error?.reason == .responseTooLarge)
    #expect(run.error?.message.contains("use Scan.") == true)
    #expect(whole.sent.count < 50 / 5, "it fails as soon as the limit is met")
  }

  @Test(arguments: [UInt32(0), 20])
  func aShardAwayFailsTheCallOrIsListedWithAllowPartial(_ limit: UInt32) throws {
    for steps in 0..<12 {
      for allowPartial in [false, true] {
        let port = port(shards: 3, keys: 60)
        let run = try OperationRun(
          .keys, Wish(limit: limit, allowPartial: allowPartial).keys, on: port)
        for _ in 0..<steps where port.waiting.count > 1 { port.run(0) }
        guard !port.waiting.isEmpty else { continue }
        port.fail(0, .shardUnavailable("s9", "gone"))
        let sent = port.sent.count
        port.runAll()
        if allowPartial {
          let reply = try run.reply(Ringstore_V1_KeysResponse.self)
          #expect(reply.unreachable.map(\.shard) == ["s9"])
        } else {
          #expect(run.error?.reason == .shardUnavailable && port.sent.count == sent)
        }
      }
    }
  }

  @Test func aCallerThatWentAwayStopsTheSlicesAtOnce() throws {
    for steps in 0..<20 {
      for limit in [UInt32(0), 500] {
        let port = port(shards: 2, keys: 400)
        _ = try OperationRun(.keys, Wish(limit: limit).keys, on: port)
        for _ in 0..<steps where !port.waiting.isEmpty { port.run(0) }
        let sent = port.sent.count
        port.drop()
        port.runAll()
        #expect(port.sent.count == sent && !port.hasEnded)
      }
    }
  }

  @Test func badTokensPatternsAndDatabasesAreRefusedBeforeAnyShardIsCalled() throws {
    func reason(_ wish: Wish) -> ErrorReason? {
      do {
        _ = try OperationRun(.keys, wish.keys, on: FakePort(shards: 1))
        return nil
      } catch { return (error as? CallError)?.reason }
    }
    for limit in [UInt32(0), 5] {
      #expect(reason(Wish(limit: limit)) == nil)
      #expect(reason(Wish(limit: limit, token: [9, 9])) == .badPageToken)
      #expect(reason(Wish(database: 99, limit: limit)) == .noSuchDatabase)
    }
    let unset = Ringstore_V1_KeysRequest.with { $0.pattern = Ringstore_V1_Pattern() }
    #expect(try OperationRun.refusal(.keys, unset)?.reason == .badPattern)
  }

  @Test(arguments: [UInt32(0), 1_000, 90], 0..<40)
  func aNewerMapMayComeIntoForceAtAnyStep(_ limit: UInt32, _ step: Int) throws {
    let port = port(shards: 3, keys: 300)
    let run = try OperationRun(.keys, Wish(limit: limit).keys, on: port)
    var random = SplitMix64(seed: TestSeed.value &+ UInt64(step))
    var steps = 0
    while !port.waiting.isEmpty {
      if steps == step || steps == 2 * step + 1 { port.addShard() }
      steps += 1
      port.run(Int.random(in: port.waiting.indices, using: &random))
    }
    let found = names(try run.reply(Ringstore_V1_KeysResponse.self))
    #expect(found.count == (limit == 90 ? 90 : 300) && Set(found).count == found.count)
  }
}

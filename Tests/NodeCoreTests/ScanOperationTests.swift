// Scan over shards that are tables: what is promised under writers, failures, slow callers and
// callers that go away and come back with a token.

import Commands
import NIOCore
import NodeCore
import Patterns
import ProtobufMessages
import RingstoreAPI
import TestSeeds
import Testing
import Users

@Suite struct ScanOperationTests {
  /// One scan, run by hand.
  struct Run {
    let port: FakePort
    let running: FakeFanout

    init(_ port: FakePort, _ wish: Wish, _ context: CallContext = CallContext()) throws {
      self.port = port
      let operation = try wish.scan.withUnsafeBytes { message in
        try OperationFactory.make(
          .scan, message: message, context, limits: port.limits,
          describe: { DescribeMerge(cluster: "", map: nil, router: nil, shardIDs: []) })
      }
      running = FakeFanout(operation, on: port, context)
    }

    var pages: [Ringstore_V1_ScanPage] {
      port.messages.compactMap { try? Ringstore_V1_ScanPage(serializedBytes: $0.array) }
    }

    var keys: [String] { pages.flatMap(\.keys).map { String(decoding: $0, as: UTF8.self) } }

    var error: CallError? {
      if case .failure(let error)? = port.outcome { error } else { nil }
    }
  }

  private static func port(shards: Int, keys: Int, seed: UInt64 = TestSeed.value) -> FakePort {
    let port = FakePort(shards: shards)
    for number in 0..<keys { port.insert("key:\(seed % 1000):\(number)") }
    return port
  }

  @Test(arguments: [1, 2, 3, 7], [0, 1, 50, 700])
  func everyKeyComesOnceInPagesAndTheLastPageSaysSo(
    _ shards: Int, _ keys: Int
  ) throws {
    let port = Self.port(shards: shards, keys: keys)
    let run = try Run(port, Wish(pageSize: 16))
    port.runAll()
    #expect(run.keys.count == keys && Set(run.keys).count == keys)
    #expect(run.pages.allSatisfy { $0.keys.count <= 16 })
    #expect(run.pages.last?.slotsDone == 16_384)
    #expect(run.pages.map(\.slotsDone) == run.pages.map(\.slotsDone).sorted())
    #expect(port.outcome != nil && run.error == nil)
    #expect(port.sent.allSatisfy { $0.part.lane == .bulk })
  }

  @Test func aTypeOrAPatternNarrowsTheScan() throws {
    let port = Self.port(shards: 3, keys: 40)
    for number in 0..<20 { port.insert("list:\(number)", .list) }
    let lists = try Run(port, Wish(type: .list))
    port.runAll()
    #expect(lists.keys.count == 20 && lists.keys.allSatisfy { $0.hasPrefix("list:") })
    let again = Self.port(shards: 3, keys: 40)
    let none = try Run(again, Wish(glob: "nothing*"))
    again.runAll()
    #expect(none.keys.isEmpty && again.hasEnded)
  }

  @Test func eachShardHasOneSliceUnderWayAtMostWhateverTheOrderOfReplies() throws {
    var random = SplitMix64(seed: TestSeed.value)
    let port = Self.port(shards: 5, keys: 600)
    let run = try Run(port, Wish(pageSize: 10))
    while !port.waiting.isEmpty {
      let busy = port.waiting.map(\.shard)
      #expect(Set(busy).count == busy.count)
      port.run(Int.random(in: port.waiting.indices, using: &random))
    }
    #expect(Set(run.keys).count == 600 && run.keys.count == 600, "seed \(TestSeed.value)")
  }

  @Test func aCallerThatDoesNotTakeWhatThereIsStopsTheSlicesAndHoldsFewBytes()
    throws
  {
    let port = FakePort(shards: 4)
    for number in 0..<2_000 { port.insert("\(number):" + String(repeating: "k", count: 300)) }
    for shard in port.shards.indices { port.shards[shard].visitsMax = 1_000 }
    port.roomForMessages = 1
    let run = try Run(port, Wish(pageSize: 5))
    port.runAll()
    #expect(run.pages.count == 1 && !port.hasEnded)
    let slices = port.sent.count
    // Each shard gave at most two slices before the first page was full.
    #expect(slices <= 2 * 4)
    var rounds = 0
    while !port.hasEnded, rounds < 10_000 {
      rounds += 1
      port.roomForMessages = 1
      run.running.fanout.callerTakesMore()
      port.runAll()
    }
    #expect(Set(run.keys).count == 2_000 && run.keys.count == 2_000)
    #expect(run.pages.allSatisfy { $0.keys.count <= 5 })
  }

  @Test func nothingIsRequestedFromAShardWhileTheCallerTakesNothing() throws {
    let port = Self.port(shards: 3, keys: 600)
    port.roomForMessages = 0
    let run = try Run(port, Wish(pageSize: 10))
    #expect(port.sent.isEmpty)
    port.roomForMessages = 3
    run.running.fanout.callerTakesMore()
    #expect(port.sent.count == 3)
    while port.roomForMessages != 0 { port.run(0) }
    let sent = port.sent.count
    port.runAll()
    #expect(port.sent.count == sent && run.pages.count == 3 && !port.hasEnded)
  }

  @Test func pagesWithoutKeysTellHowFarAScanIsThatFindsNothing() throws {
    let port = Self.port(shards: 2, keys: 2_000)
    for shard in port.shards.indices { port.shards[shard].visitsMax = 2 }
    let run = try Run(port, Wish(glob: "absent*"))
    port.runAll()
    #expect(run.pages.count > 5 && run.keys.isEmpty)
    let progress = run.pages.map(\.slotsDone)
    #expect(progress == progress.sorted() && Set(progress).count > 5)
  }

  /// At every step of a scan its caller goes away, comes back with the token of the last page he
  /// saw, on another router, and misses nothing and sees nothing twice.
  @Test(arguments: [1, 3])
  func aScanResumedFromAnyPageContinuesExactlyBehindIt(_ shards: Int) throws {
    let all = Self.port(shards: shards, keys: 120)
    let whole = try Run(all, Wish(pageSize: 7))
    all.runAll()
    let names = Set(whole.keys)
    for steps in 0..<all.sent.count {
      let port = Self.port(shards: shards, keys: 120)
      let first = try Run(port, Wish(pageSize: 7))
      for _ in 0..<steps where !port.waiting.isEmpty { port.run(port.waiting.count - 1) }
      port.drop()
      let sent = port.sent.count
      let other = Self.port(shards: shards, keys: 120)
      let token = first.pages.last.map { Array($0.resumeToken) } ?? []
      let rest = try Run(other, Wish(pageSize: 50, token: token))
      other.runAll()
      #expect(first.keys + rest.keys == whole.keys, "after \(steps) steps")
      #expect(Set(first.keys + rest.keys) == names && port.sent.count == sent)
    }
    let last = try #require(whole.pages.last)
    let over = Self.port(shards: shards, keys: 120)
    let nothing = try Run(over, Wish(token: Array(last.resumeToken)))
    #expect(over.sent.isEmpty && over.hasEnded && nothing.keys.isEmpty)
    #expect(nothing.pages.map(\.slotsDone) == [16_384])
  }

  @Test func onePageAtATimeMakesProgressEvenAmongKeysThatShareAPlace() throws {
    var found: [String] = []
    var token: [UInt8] = []
    for _ in 0..<500 {
      let port = FakePort(shards: 2)
      for shard in port.shards.indices { port.shards[shard].hashPlaces = 2 }
      for number in 0..<60 { port.insert("{tag}\(number)") }
      port.roomForMessages = 1
      let run = try Run(port, Wish(pageSize: 1, token: token))
      port.runAll()
      let page = try #require(run.pages.first)
      found += page.keys.map { String(decoding: $0, as: UTF8.self) }
      token = Array(page.resumeToken)
      if page.slotsDone == 16_384 { break }
    }
    #expect(found.count == 60 && Set(found).count == 60)
  }

  /// Slices stop wherever they have looked at enough keys; where that is tells of keys that are
  /// there, so a caller who may not see them must not learn it.
  @Test(arguments: [2, 3, 5])
  func tokensOfACallerWithSomeOfTheKeysTellNothingOfTheOthers(
    _ visitsMax: Int
  ) throws {
    let prefix = Pattern.Source.prefix(Array("mine".utf8))
    let rules = try KeyRules(databases: nil, keys: [prefix])
    let context = CallContext(Principal(restrictedTo: rules), deadlineNanos: nil)
    func port() -> FakePort {
      let port = FakePort(shards: 2)
      for shard in port.shards.indices { port.shards[shard].visitsMax = visitsMax }
      for number in 0..<400 { port.insert("other:{tag}\(number)") }
      for number in 0..<5 { port.insert("mine:{tag}\(number)") }
      port.roomForMessages = 1
      return port
    }
    let own = port().shards.flatMap(\.items).filter { $0.key.starts(with: Array("mine".utf8)) }
    let told = Set(own.map { ScanPosition(slot: $0.slot, cursor: $0.hash + 1) })
    let query = try Wish(glob: "mine*").scan.withUnsafeBytes {
      try KeyQuery(
        try V1.ScanRequest($0).pattern, database: 0, type: .none, context, Limits())
    }
    var found: [String] = []
    var token: [UInt8] = []
    for _ in 0..<30 {
      let port = port()
      let run = try Run(port, Wish(glob: "mine*", pageSize: 1, token: token), context)
      port.runAll()
      let page = try #require(run.pages.first)
      found += page.keys.map { String(decoding: $0, as: UTF8.self) }
      token = Array(page.resumeToken)
      let position = try token.withUnsafeBytes { try query.position(of: $0) }
      #expect(position.cursor == 0 || told.contains(position))
      if position == .end { break }
    }
    #expect(found.count == 5 && Set(found).count == 5)
  }

  @Test func aScanUnderWayEndsWhenItsCallerMayNotSeeTheKeysAnyMore() throws {
    func table(_ users: String) throws -> UserTable { try UsersFile.parse(Array(users.utf8)) }
    let user = "user anonymous\n may read\n databases all\n"
    let authorizer = Authorizer(
      try table(user + "keys prefix key\n"), AccessLedger(nowNanos: { 0 }))
    let caller = try CallerIdentity(authorizer).principal(nil)
    let port = Self.port(shards: 3, keys: 200)
    let run = try Run(
      port, Wish(glob: "key*", pageSize: 5), CallContext(caller, deadlineNanos: nil))
    port.run(0)
    // Nothing that concerns the scan.
    authorizer.replace(with: try table(user + "keys prefix key\n rate 5\n"))
    port.run(0)
    #expect(!port.hasEnded)
    authorizer.replace(with: try table(user + "keys prefix other\n"))
    port.run(0)
    #expect(run.error?.reason == .permissionDenied)
    let sent = port.sent.count
    port.runAll()
    #expect(port.sent.count == sent)
  }

  @Test func keysThatStayAreFoundThoughOthersComeAndGo() throws {
    for round in 0..<30 {
      var random = SplitMix64(seed: TestSeed.value &+ UInt64(round))
      let port = FakePort(shards: Int.random(in: 1...6, using: &random))
      for shard in port.shards.indices {
        port.shards[shard].visitsMax = Int.random(in: 1...9, using: &random)
        if random.chance(1, in: 3) { port.shards[shard].hashPlaces = 3 }
      }
      let stay = (0..<150).map { "stay:\($0)" }
      for key in stay { port.insert(key) }
      for number in 0..<50 { port.insert("passing:\(number)") }
      let run = try Run(port, Wish(pageSize: UInt32.random(in: 0...20, using: &random)))
      while !port.waiting.isEmpty {
        port.insert("passing:\(Int.random(in: 0..<90, using: &random))")
        port.remove("passing:\(Int.random(in: 0..<90, using: &random))")
        port.run(Int.random(in: port.waiting.indices, using: &random))
      }
      let counts = Dictionary(run.keys.map { ($0, 1) }, uniquingKeysWith: +)
      for key in stay { #expect(counts[key] == 1, "seed \(TestSeed.value), round \(round)") }
    }
  }

  @Test func aShardThatFailsEndsTheScanAtWhateverStep() throws {
    let away = CallError.shardUnavailable("s1", "gone")
    for steps in 0..<40 {
      let port = Self.port(shards: 3, keys: 200)
      let run = try Run(port, Wish(pageSize: 10))
      for _ in 0..<steps where !port.waiting.isEmpty { port.run(0) }
      guard !port.waiting.isEmpty else { break }
      port.fail(0, away)
      #expect(run.error == away)
      let sent = port.sent.count
      port.runAll()
      #expect(port.sent.count == sent, "nothing is asked for after the end")
    }
  }

  @Test func withAllowPartialAShardAwayIsReportedOnceAndTheOthersAreScanned() throws {
    for steps in 0..<40 {
      let port = Self.port(shards: 3, keys: 200)
      let mine = port.shards[1].items.count
      let run = try Run(port, Wish(pageSize: 10, allowPartial: true))
      for _ in 0..<steps where port.waiting.count > 1 { port.run(0) }
      guard let index = port.waiting.firstIndex(where: { $0.shard == 1 }) else { continue }
      port.fail(index, .shardUnavailable("s1", "gone"))
      port.runAll()
      #expect(run.error == nil && port.hasEnded)
      #expect(run.pages.flatMap(\.unreachable).map(\.shard) == ["s1"])
      #expect(Set(run.keys).count == run.keys.count && run.keys.count >= 200 - mine)
      #expect(run.pages.last?.slotsDone == 16_384)
    }
  }

  @Test func otherErrorsEndAScanEvenWithAllowPartial() throws {
    let port = Self.port(shards: 2, keys: 10)
    let run = try Run(port, Wish(allowPartial: true))
    port.fail(0, .badPattern("it is not."))
    #expect(run.error?.reason == .badPattern)
  }

  @Test func whatCannotBeServedIsRefusedBeforeAnyShardIsCalled() throws {
    func reason(_ wish: Wish) -> ErrorReason? {
      do {
        try wish.scan.withUnsafeBytes {
          _ = try ScanOperation(try V1.ScanRequest($0), CallContext(), Limits())
        }
        return nil
      } catch {
        return (error as? CallError)?.reason
      }
    }
    #expect(reason(Wish()) == nil)
    #expect(reason(Wish(database: 16)) == .noSuchDatabase)
    #expect(reason(Wish(token: [1, 2, 3])) == .badPageToken)
    #expect(reason(Wish(type: .UNRECOGNIZED(9))) == .unknownField)
  }

  @Test func aShardsNonsenseFailsTheScan() throws {
    for nonsense in [[UInt8](), [0x0a], [0x0a, 1, 0x61]] {
      let port = FakePort(shards: 1)
      let run = try Run(port, Wish())
      let tag = try #require(port.waiting.first).part.tag
      nonsense.withUnsafeBytes { run.running.fanout.received(tag, $0) }
      #expect(run.error?.code == .internal)
    }
  }

  @Test(arguments: 0..<40)
  func aScanContinuesWhereItIsWhenANewerMapComesIntoForce(_ step: Int) throws {
    var random = SplitMix64(seed: TestSeed.value &+ UInt64(step))
    let port = Self.port(shards: 3, keys: 400)
    let run = try Run(port, Wish(pageSize: 20))
    var steps = 0
    while !port.waiting.isEmpty {
      if steps == step || steps == 3 * step { port.addShard() }
      steps += 1
      port.run(Int.random(in: port.waiting.indices, using: &random))
    }
    #expect(run.keys.count == 400 && Set(run.keys).count == 400, "seed \(TestSeed.value)")
    #expect(run.pages.last?.slotsDone == 16_384 && run.error == nil)
  }
}

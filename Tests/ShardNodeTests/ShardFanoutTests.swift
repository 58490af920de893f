// Fan-outs that a client asks a lone shard for: turns, slices and cancellation. What is the same on
// a router is tested in FrontTests.

import Commands
import NIOCore
import NodeCore
import ProtobufMessages
import RingstoreAPI
import SwiftProtobuf
import Testing
import Users

@testable import ShardNode

@Suite struct ShardFanoutTests {
  let shard: ShardFixture
  let turns = TurnCount()

  init() {
    self.init(shard: ShardFixture())
  }

  private init(shard: ShardFixture) {
    self.shard = shard
  }

  @Test func manyItemsTakeSeveralTurns() throws {
    var request = Ringstore_V1_MSetRequest()
    request.items = (0..<600).map { Requests.set("k", "\($0)") }
    let _: Ringstore_V1_MSetResponse = try run(.mSet, request)
    #expect(turns.count > 1, "600 parts must not run in one turn")
  }

  @Test func keysLooksAtTheKeysInSlices() throws {
    for number in 0..<5_000 { try shard.set("key:\(number)", "v") }
    let response: Ringstore_V1_KeysResponse = try run(.keys, Ringstore_V1_KeysRequest())
    #expect(response.keys.count == 5_000)
    #expect(turns.count >= 5_000 / Int(KeyQuery.visitsPerSlice))
  }

  @Test func keysOfAnEmptyShardEndsSoon() throws {
    let response: Ringstore_V1_KeysResponse = try run(.keys, Ringstore_V1_KeysRequest())
    #expect(response.keys.isEmpty)
    #expect(turns.count <= 2)
  }

  @Test func aCancelledFanoutStopsWithinASlice() throws {
    for number in 0..<5_000 { try shard.set("key:\(number)", "v") }
    let caller = FanoutRecorder(shard.core)
    shard.core.start(
      try operation(.keys, Ringstore_V1_KeysRequest()), for: caller.reply, CallContext())
    shard.core.runTurn()
    caller.reply.drop()
    #expect(shard.runTurns() <= 1)
    #expect(caller.outcome == nil)
  }

  // MARK: - Large parts and streams

  @Test func largePartsAreGatheredInTurns() throws {
    let shard = ShardFixture(limits: .wide)
    let tests = ShardFanoutTests(shard: shard)
    try shard.set("large", pattern(300_000))
    var keys = Ringstore_V1_MGetRequest()
    keys.keys = ["large", "large"].map { Requests.key($0) }
    let got: Ringstore_V1_MGetResponse = try tests.run(.mGet, keys)
    #expect(got.items.allSatisfy { $0.value.value.holds(pattern(300_000)) })
    #expect(tests.turns.count > 8)
    #expect(!shard.core.holdsViews)
  }

  @Test func aCancelledFanoutReleasesWhatItGathers() throws {
    try shard.set("large", pattern(300_000))
    var keys = Ringstore_V1_MGetRequest()
    keys.keys = [Requests.key("large")]
    let caller = FanoutRecorder(shard.core)
    shard.core.start(try operation(.mGet, keys), for: caller.reply, CallContext())
    shard.core.runTurn()
    #expect(shard.core.holdsViews)
    caller.reply.drop()
    #expect(!shard.core.holdsViews)
    shard.runTurns()
    #expect(caller.outcome == nil)
  }

  @Test func operationsTakeTurns() throws {
    for number in 0..<5_000 { try shard.set("key:\(number)", "v") }
    let long = FanoutRecorder(shard.core)
    shard.core.start(
      try operation(.keys, Ringstore_V1_KeysRequest()), for: long.reply, CallContext())
    let short = FanoutRecorder(shard.core)
    shard.core.start(
      try operation(.dbSize, Ringstore_V1_DbSizeRequest()), for: short.reply, CallContext())
    shard.core.runTurn()
    shard.core.runTurn()
    #expect(short.outcome != nil && long.outcome == nil)
  }

  @Test func repliesOfAllOperationsTogetherAreBounded() throws {
    var limits = Limits()
    limits.replyMemoryBytesMax = 100_000
    let shard = ShardFixture(limits: limits)
    for number in 0..<5_000 { try shard.set("a key with a long name: \(number)", "v") }
    let callers = (0..<3).map { _ in FanoutRecorder(shard.core) }
    for caller in callers {
      shard.core.start(
        try operation(.keys, Ringstore_V1_KeysRequest()), for: caller.reply, CallContext())
    }
    shard.runTurns()
    let outcomes = try callers.map { try #require($0.outcome) }
    #expect(outcomes.contains { (try? $0.get()) != nil }, "one alone may go past the bound")
    for case .failure(let error) in outcomes { #expect(error.reason == .overloaded) }
    #expect(outcomes.contains { (try? $0.get()) == nil })
    #expect(shard.core.replyMemory.heldBytes == 0)
    var holding: AnyObject? = shard.core.replyMemory.hold(100_000)
    let refused = FanoutRecorder(shard.core)
    shard.core.start(
      try operation(.keys, Ringstore_V1_KeysRequest()), for: refused.reply, CallContext())
    shard.runTurns()
    #expect(throws: CallError.self) { try refused.outcome?.get() }
    withExtendedLifetime(holding) {}
    holding = nil
    let served = FanoutRecorder(shard.core)
    shard.core.start(
      try operation(.keys, Ringstore_V1_KeysRequest()), for: served.reply, CallContext())
    shard.runTurns()
    _ = try #require(served.outcome).get()
  }

  @Test func aScanStopsWhileItsReaderTakesNothing() throws {
    for number in 0..<3_000 { try shard.set("key:\(number)", "v") }
    let caller = FanoutRecorder(shard.core)
    caller.isWritable = false
    shard.core.start(
      try operation(.scan, Ringstore_V1_ScanRequest()), for: caller.reply, CallContext())
    shard.runTurns()
    let before = caller.messages.count
    #expect(caller.outcome == nil)
    caller.isWritable = true
    caller.reply.wake()
    shard.runTurns()
    #expect(caller.messages.count > before)
    _ = try #require(caller.outcome).get()
    let keys = try caller.messages.flatMap {
      try Ringstore_V1_ScanPage(serializedBytes: Array($0.readableBytesView)).keys
    }
    #expect(Set(keys).count == 3_000 && keys.count == 3_000)
  }

  @Test func aReaderThatLosesItsPermissionsIsNotServed() throws {
    for number in 0..<3_000 { try shard.set("key:\(number)", "v") }
    for _ in 0..<3 {
      let _: Ringstore_V1_Status = try shard.call(
        .rPush, Requests.push("list", (0..<10_000).map { "value \($0)" }))
    }
    func table(_ keys: String, rate: Int) throws -> UserTable {
      let text = "user anonymous\n may read\n databases all\n keys \(keys)\n rate \(rate)\n"
      return try UsersFile.parse(Array(text.utf8))
    }
    let users = Authorizer(try table("all", rate: 9), AccessLedger(nowNanos: { 0 }))
    let context = shard.core.context(
      try CallerIdentity(users).principal(nil), nowNanos: shard.core.clock())
    let callers = (0..<2).map { _ in FanoutRecorder(shard.core) }
    for caller in callers { caller.isWritable = false }
    shard.core.start(
      try operation(.scan, Ringstore_V1_ScanRequest()), for: callers[0].reply, context)
    let list: [UInt8] = try Requests.range("list", 0, -1).serializedBytes()
    list.withUnsafeBytes { shard.core.streamList($0, to: callers[1].reply, context) }
    shard.runTurns()
    for (table, isOver) in [(try table("all", rate: 8), false), (UserTable(), true)] {
      users.replace(with: table)
      for caller in callers {
        caller.reply.checkCaller()
        #expect((caller.outcome != nil) == isOver)
      }
    }
    for caller in callers {
      guard case .failure(let error)? = caller.outcome else { continue }
      #expect(error.reason == .unauthenticated)
    }
    #expect(!shard.core.holdsViews)
  }

  @Test func shutdownIsRequestedOnceItHasItsReply() throws {
    let _: Ringstore_V1_ShutdownResponse = try run(.shutdown, Ringstore_V1_ShutdownRequest())
    #expect(shard.core.shutdownRequested)
  }

  @Test func statsCountWhatWasExecuted() throws {
    try shard.set("k", "v")
    _ = try shard.get("k")
    _ = try shard.get("k")
    let stats: Ringstore_V1_StatsResponse = try run(.stats, Ringstore_V1_StatsRequest())
    #expect(stats.counters["ringstore_calls_get_total"] == 2)
    #expect(stats.counters["ringstore_calls_set_total"] == 1)
    #expect(stats.counters["ringstore_keys"] == 1)
  }

  private func operation(
    _ id: CommandID, _ request: some Message
  ) throws -> any FanoutOperation {
    let bytes: [UInt8] = try request.serializedBytes()
    return try bytes.withUnsafeBytes { raw in
      try OperationFactory.make(
        id, message: raw, CallContext(), limits: shard.core.limits,
        describe: { DescribeMerge(cluster: "test", map: nil, router: nil, shardIDs: ["a"]) })
    }
  }

  /// Runs an operation to its end.
  private func run<Response: Message>(
    _ id: CommandID, _ request: some Message
  ) throws -> Response {
    let caller = FanoutRecorder(shard.core)
    shard.core.start(try operation(id, request), for: caller.reply, CallContext())
    turns.count = shard.runTurns()
    let response = try #require(caller.outcome).get()
    return try Response(serializedBytes: Array(response.readableBytesView))
  }
}

/// A client that notes what it gets.
final class FanoutRecorder: ReplyExit {
  private(set) var messages: [ByteBuffer] = []
  private(set) var outcome: Result<ByteBuffer, CallError>?
  var isWritable = true
  private let core: ShardCore
  private(set) lazy var reply = ReplyHandle(
    1, to: self, method: UInt32(CommandID.keys.rawValue), core: core)

  init(_ core: ShardCore) {
    self.core = core
  }

  func takes(_ reply: ReplyHandle) -> Bool { isWritable }

  func begin(_ reply: ReplyHandle, byteCount: Int) {
    Issue.record("no operation's reply comes in pieces")
  }

  func send(_ reply: ReplyHandle, _ piece: ReplyPiece, _ write: (inout ByteBuffer) -> Void) {
    var message = ByteBuffer()
    write(&message)
    messages.append(message)
  }

  func end(_ reply: ReplyHandle, _ end: ReplyEnd) {
    #expect(outcome == nil, "an operation has two ends")
    switch end {
    case .response(let response): outcome = .success(response)
    case .complete: outcome = .success(ByteBuffer())
    case .failed(let error): outcome = .failure(error)
    }
  }
}

/// How many turns the latest operation took.
final class TurnCount {
  var count = 0
}

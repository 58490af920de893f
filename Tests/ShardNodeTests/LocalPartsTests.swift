// Fan-outs that a client asks a lone shard for: outcomes, slices and cancellation.

import NIOCore
import NodeCore
import RingstoreAPI
import SwiftProtobuf
import Testing

@testable import ShardNode

@Suite("Fan-outs on a shard itself")
struct LocalPartsTests {
  let shard: ShardFixture
  let turns = Turns()

  init() {
    self.init(shard: ShardFixture())
  }

  private init(shard: ShardFixture) {
    self.shard = shard
  }

  @Test func manyKeysAnswerInRequestOrderWithTheirOwnOutcomes() throws {
    try shard.set("a", "1")
    let _: Ringstore_V1_Status = try shard.call(.rPush, Requests.push("l", ["1"]))
    var request = Ringstore_V1_MGetRequest()
    request.keys = ["a", "missing", "", "l", "a"].map { Requests.key($0) }
    let response: Ringstore_V1_MGetResponse = try run(.mGet, request)
    #expect(response.items.count == 5)
    #expect(response.items[0].value.value == .init("1".utf8))
    #expect(response.items[1].outcome == .value(Ringstore_V1_Value()))
    #expect(response.items[2].error.reason == "INVALID_KEY")
    #expect(response.items[3].error.reason == "WRONG_TYPE")
    #expect(response.items[4].value.found)
  }

  @Test func writesOfOneKeyTakeEffectInRequestOrder() throws {
    var request = Ringstore_V1_MSetRequest()
    request.items = (0..<600).map { Requests.set("k", "\($0)") }
    let response: Ringstore_V1_MSetResponse = try run(.mSet, request)
    #expect(response.items.count == 600)
    #expect(response.items.allSatisfy { $0.status.ok })
    #expect(try shard.get("k").value == .init("599".utf8))
    #expect(turns.count > 1, "600 parts must not run in one turn")
  }

  @Test func keysFindsWhatMatchesInSlices() throws {
    for number in 0..<5_000 { try shard.set("key:\(number)", "v") }
    try shard.set("other", "v")
    var request = Ringstore_V1_KeysRequest()
    request.pattern.glob = .init("key:*".utf8)
    let response: Ringstore_V1_KeysResponse = try run(.keys, request)
    #expect(Set(response.keys).count == 5_000)
    #expect(response.keys.count == 5_000)
    #expect(turns.count >= 5_000 / Int(KeysMerge.visitsPerSlice))
  }

  @Test func keysOfAnEmptyShardEndsSoon() throws {
    let response: Ringstore_V1_KeysResponse = try run(.keys, Ringstore_V1_KeysRequest())
    #expect(response.keys.isEmpty)
    #expect(turns.count <= 2)
  }

  @Test func resetEmptiesOneDatabaseOrAll() throws {
    for database in [UInt32(0), 1, 2] { try shard.set("k", "v", database: database) }
    let one: Ringstore_V1_ResetResponse = try run(.reset, Ringstore_V1_ResetRequest())
    #expect(one.keysRemoved == 1)
    var all = Ringstore_V1_ResetRequest()
    all.allDatabases = true
    let rest: Ringstore_V1_ResetResponse = try run(.reset, all)
    #expect(rest.keysRemoved == 2)
    var size = Ringstore_V1_DbSizeRequest()
    size.allDatabases = true
    let left: Ringstore_V1_DbSizeResponse = try run(.dbSize, size)
    #expect(left.keys == 0)
  }

  @Test func aReplyBeyondTheMessageLimitFailsAsAWhole() throws {
    var limits = Limits()
    limits.maxMessageBytes = 10_000
    let small = LocalPartsTests(shard: ShardFixture(limits: limits))
    for number in 0..<200 {
      try small.shard.set("\(number)" + String(repeating: "k", count: 100), "v")
    }
    #expect(throws: CallError.self) {
      let _: Ringstore_V1_KeysResponse = try small.run(.keys, Ringstore_V1_KeysRequest())
    }
  }

  @Test func tooManyItemsAreRefused() throws {
    var request = Ringstore_V1_MGetRequest()
    request.keys = Array(repeating: Requests.key("k"), count: Limits().maxItems + 1)
    #expect(throws: CallError.self) {
      let _: Ringstore_V1_MGetResponse = try run(.mGet, request)
    }
  }

  @Test func aCancelledFanoutStopsWithinASlice() throws {
    for number in 0..<5_000 { try shard.set("key:\(number)", "v") }
    let parts = LocalParts(core: shard.core, later: turns.later)
    var hasEnded = false
    let handle = parts.start(try operation(.keys, Ringstore_V1_KeysRequest())) { _, _ in
      hasEnded = true
    }
    turns.runOne()
    parts.cancel(handle)
    let before = turns.count
    turns.runAll()
    #expect(turns.count <= before + 1)
    #expect(!hasEnded)
  }

  private func operation(
    _ id: CommandID, _ request: some Message
  ) throws -> any FanoutOperation {
    let bytes: [UInt8] = try request.serializedBytes()
    return try bytes.withUnsafeBytes { raw in
      try OperationFactory.make(
        id, message: raw, limits: shard.core.limits,
        describe: { DescribeMerge(cluster: "test", map: nil, router: nil, shardIDs: ["a"]) })
    }
  }

  private func run<Response: Message>(
    _ id: CommandID, _ request: some Message
  ) throws -> Response {
    let parts = LocalParts(core: shard.core, later: turns.later)
    var outcome: (error: CallError?, response: ByteBuffer)?
    _ = parts.start(try operation(id, request)) { outcome = ($0, $1) }
    turns.runAll()
    let ended = try #require(outcome)
    if let error = ended.error { throw error }
    return try Response(serializedBytes: Array(ended.response.readableBytesView))
  }
}

/// An event loop's turns, run by hand.
final class Turns {
  private var waiting: [() -> Void] = []
  private(set) var count = 0

  func later(_ work: @escaping () -> Void) {
    waiting.append(work)
  }

  func runOne() {
    guard !waiting.isEmpty else { return }
    count += 1
    waiting.removeFirst()()
  }

  func runAll() {
    while !waiting.isEmpty { runOne() }
  }
}

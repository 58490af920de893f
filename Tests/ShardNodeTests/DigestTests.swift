// Digest at a shard: a walk in turns, with a reply at its end.

import Commands
import NIOCore
import NodeCore
import ProtobufMessages
import RingstoreAPI
import SwiftProtobuf
import Testing

@testable import ShardNode

@Suite struct DigestTests {
  private func begin(
    _ shard: ShardFixture, _ request: Ringstore_V1_DigestRequest = .init()
  ) throws -> FanoutRecorder {
    let caller = FanoutRecorder(shard.core)
    let bytes: [UInt8] = try request.serializedBytes()
    let operation = try bytes.withUnsafeBytes {
      try OperationFactory.make(
        .digest, message: $0, CallContext(), limits: shard.core.limits,
        describe: { DescribeMerge(cluster: "c", map: nil, router: nil, shardIDs: []) })
    }
    shard.core.start(operation, for: caller.reply, shard.core.context(nowNanos: 1_000))
    return caller
  }

  private func reply(_ caller: FanoutRecorder) throws -> Ringstore_V1_ShardDigest {
    let response = try #require(caller.outcome).get()
    let reply = try Ringstore_V1_DigestResponse(
      serializedBytes: Array(response.readableBytesView))
    return try #require(reply.shards.first)
  }

  private func digest(
    _ shard: ShardFixture, slots: Bool = false
  ) throws -> Ringstore_V1_ShardDigest {
    let caller = try begin(shard, .with { $0.slots = slots })
    shard.runTurns()
    return try reply(caller)
  }

  @Test func itTellsWhetherTheContentsAreTheSame() throws {
    let (one, other) = (ShardFixture(), ShardFixture(id: "b"))
    for number in 0..<2_000 {
      try one.set("k\(number)", "v\(number)")
      try other.set("k\(1_999 - number)", "before")
      try other.set("k\(1_999 - number)", "v\(1_999 - number)")
    }
    #expect(try digest(one).digest == digest(other).digest)
    #expect(try digest(one).shard == "a" && digest(one).keys == 2_000)
    try other.set("k7", "changed")
    #expect(try digest(one).digest != digest(other).digest)
    let slots = try digest(one, slots: true).slots
    let changed = Set(slots).symmetricDifference(try digest(other, slots: true).slots)
    #expect(Set(changed.map(\.slot)).count == 1)
    #expect(slots.reduce(0) { $0 &+ $1.digest } == (try digest(one).digest))
  }

  @Test func aSlotThatChangesMeanwhileIsReported() throws {
    let shard = ShardFixture()
    for number in 0..<3_000 { try shard.set("{t}\(number)", String(repeating: "v", count: 1_000)) }
    let caller = try begin(shard, .with { $0.slots = true })
    for _ in 0..<3 { shard.core.runTurn() }
    #expect(caller.outcome == nil)
    try shard.set("{t}5", "other")
    shard.runTurns()
    let told = try reply(caller)
    #expect(told.slotsChanged == 1 && told.digest == 0 && told.slots.map(\.changed) == [true])
  }

  @Test func walksAreBoundedAndEndWithTheirCallers() throws {
    let shard = ShardFixture()
    for number in 0..<3_000 { try shard.set("{t}\(number)", String(repeating: "v", count: 1_000)) }
    let callers = try (0..<4).map { _ in try begin(shard) }
    for _ in 0..<8 { shard.core.runTurn() }
    let fifth = try begin(shard)
    while fifth.outcome == nil { shard.core.runTurn() }
    #expect(throws: CallError.self) { try reply(fifth) }
    for caller in callers { caller.reply.drop() }
    shard.runTurns()
    #expect(shard.core.digestWalks == 0)
    #expect(try digest(shard).keys == 3_000)
  }

  @Test func whatItTellsOfIsCommitted() throws {
    let logging = LoggingShard()
    try logging.shard.set("k", "v")
    let caller = try begin(logging.shard)
    logging.shard.runTurns()
    #expect(caller.outcome == nil)
    logging.commit()
    #expect(try reply(caller).keys == 1)
  }

  @Test func slotsThatDontFitIntoAMessageAreRefused() throws {
    var limits = Limits()
    limits.maxMessageBytes = 2_000
    let shard = ShardFixture(limits: limits)
    for number in 0..<1_000 { try shard.set("k\(number)", "v") }
    #expect(try digest(shard).keys == 1_000)
    #expect { try digest(shard, slots: true) } throws: {
      ($0 as? CallError)?.reason == .responseTooLarge
    }
  }
}

// LRangeStream over a link: parts of one view, on credit.

import GRPC
import NodeCore
import ProtobufMessages
import RingstoreAPI
import SwiftProtobuf
import Testing

@testable import ShardNode

@Suite struct ListStreamTests {
  let shard: ShardFixture
  let link: Link

  init() throws {
    shard = ShardFixture(limits: .wide)
    link = try Link(to: shard)
  }

  @Test func partsAreOneViewHoweverMuchIsWrittenMeanwhile() throws {
    let values = (0..<60_000).map { "value \($0)" }
    try shard.push("l", values)
    link.streamList(1, Requests.range("l", 0, -1), credit: 100_000)
    var parts = try take()
    #expect(parts.count == 2, "credit for one part and a half")
    try shard.push("l", ["later"])
    let _: Ringstore_V1_Status = try shard.call(.delete, Requests.key("l"))
    #expect(shard.core.store.pinnedBytes > 0)
    link.grant(1, 10 << 20)
    parts += try take()
    #expect(parts.dropLast().allSatisfy { $0.more } && parts.last?.more == false)
    let lists = try parts.map { try Ringstore_V1_ListValues(serializedBytes: $0.response) }
    #expect(lists.flatMap(\.values).hold(values))
    #expect(lists.allSatisfy { $0.found && $0.length == 60_000 })
    #expect(lists.map(\.firstIndex) == sums(lists.map(\.values.count)))
    #expect(shard.core.store.pinnedBytes == 0 && !shard.core.holdsViews)
  }

  @Test func aLongElementHasAPartToItself() throws {
    let values = ["a", pattern(200_000), "b"]
    try shard.push("l", values)
    link.streamList(1, Requests.range("l", 0, -1), credit: 10 << 20)
    let lists = try take().map { try Ringstore_V1_ListValues(serializedBytes: $0.response) }
    #expect(lists.map(\.values.count) == [1, 1, 1])
    #expect(lists.flatMap(\.values).hold(values))
  }

  @Test func anElementBeyondTheLimitEndsTheStream() throws {
    var limits = Limits()
    limits.maxMessageBytes = 100_000
    let small = ShardFixture(limits: limits)
    let link = try Link(to: small)
    let _: Ringstore_V1_Status = try small.call(
      .rPush, Requests.push("l", ["a", pattern(100_000), "b"]))
    link.streamList(1, Requests.range("l", 0, -1), credit: 10 << 20)
    small.runTurns()
    #expect(link.bulk.take().map(\.code) == [0, StatusCode.resourceExhausted.rawValue])
    #expect(!small.core.holdsViews)
  }

  @Test func aMissingKeyAndAnEmptyRangeAreOnePartEach() throws {
    try shard.push("l", ["a"])
    link.streamList(1, Requests.range("missing", 0, -1), credit: 1)
    link.streamList(2, Requests.range("l", 5, 9), credit: 1)
    let parts = try take()
    #expect(parts.map(\.id) == [1, 2] && parts.allSatisfy { !$0.more })
    let lists = try parts.map { try Ringstore_V1_ListValues(serializedBytes: $0.response) }
    #expect(lists.map(\.found) == [false, true])
    #expect(lists[1].values.isEmpty && lists[1].length == 1)
  }

  @Test func aStringIsRefused() throws {
    try shard.set("s", "v")
    link.streamList(1, Requests.range("s", 0, -1), credit: 1)
    let reply = try #require(try take().first)
    #expect(reply.code == StatusCode.failedPrecondition.rawValue && !reply.more)
  }

  @Test func aCancelledStreamReleasesTheList() throws {
    try shard.push("l", (0..<60_000).map { "value \($0)" })
    link.streamList(1, Requests.range("l", 0, -1), credit: 1)
    _ = try take()
    let _: Ringstore_V1_Status = try shard.call(.delete, Requests.key("l"))
    link.bulk.give { $0.bytes.append(LinkV1.RouterFrame.Field.cancels, 1) }
    let last = try take()
    #expect(last.map(\.code) == [StatusCode.cancelled.rawValue] && last.map(\.more) == [false])
    #expect(shard.core.store.pinnedBytes == 0)
  }

  private func take() throws -> [Ringstore_Internal_V1_LinkReply] {
    shard.runTurns()
    return link.bulk.take()
  }

  private func sums(_ counts: [Int]) -> [Int64] {
    var sum: Int64 = 0
    return counts.map { count in
      defer { sum += Int64(count) }
      return sum
    }
  }
}

// LMove at a shard: between two keys of a slot, within one list, and what is refused.

import Commands
import Foundation
import NIOCore
import Placement
import ProtobufMessages
import RingstoreAPI
import Testing

@testable import ShardNode

@Suite struct MoveTests {
  private let shard = ShardFixture()

  private func request(
    _ key: String, _ from: Ringstore_V1_ListEnd, _ destination: String, _ to: Ringstore_V1_ListEnd
  ) -> Ringstore_V1_ListMoveRequest {
    .with {
      ($0.key, $0.from) = (Data(key.utf8), from)
      ($0.destination, $0.to) = (Data(destination.utf8), to)
    }
  }

  private func move(
    _ key: String, _ from: Ringstore_V1_ListEnd, _ destination: String, _ to: Ringstore_V1_ListEnd
  ) throws -> String? {
    let reply: Ringstore_V1_Value = try shard.call(.lMove, request(key, from, destination, to))
    return reply.found ? String(decoding: reply.value, as: UTF8.self) : nil
  }

  @Test func aValueGoesFromAnyEndToAnyEnd() throws {
    try shard.push("{t}a", ["1", "2", "3", "4"])
    #expect(try move("{t}a", .head, "{t}b", .head) == "1")
    #expect(try move("{t}a", .tail, "{t}b", .head) == "4")
    #expect(try move("{t}a", .head, "{t}b", .tail) == "2")
    #expect(try shard.list("{t}a") == ["3"] && shard.list("{t}b") == ["4", "1", "2"])
    #expect(try move("{t}a", .tail, "{t}b", .tail) == "3")
    #expect(shard.core.store.totalKeyCount == 1)
    #expect(try move("{t}a", .head, "{t}b", .head) == nil)
    #expect(try shard.list("{t}b") == ["4", "1", "2", "3"])
  }

  @Test func aListGoesRound() throws {
    try shard.push("l", ["1", "2", "3"])
    #expect(try move("l", .tail, "l", .head) == "3")
    #expect(try shard.list("l") == ["3", "1", "2"])
    #expect(try move("l", .head, "l", .tail) == "3")
    #expect(try move("l", .head, "l", .head) == "1")
    #expect(try shard.list("l") == ["1", "2", "3"])
    try shard.push("one", ["x"])
    for end in [Ringstore_V1_ListEnd.head, .tail] {
      #expect(try move("one", end, "one", .tail) == "x")
    }
    #expect(try shard.list("one") == ["x"])
  }

  @Test func keysOfTwoSlotsAreRefusedWithTheWayOut() throws {
    try shard.push("a", ["1"])
    let error = try #require(shard.failure(.lMove, request("a", .head, "b", .head)))
    #expect(error.reason == .crossSlot && error.code == .invalidArgument)
    #expect(error.message.contains("{hash tag}"))
    #expect(try shard.list("a") == ["1"] && shard.list("b") == [])
  }

  @Test func whatIsRefusedChangesNothing() throws {
    try shard.push("{t}a", ["1"])
    try shard.set("{t}s", "text")
    #expect(shard.failure(.lMove, request("{t}a", .head, "{t}s", .head))?.reason == .wrongType)
    #expect(shard.failure(.lMove, request("{t}s", .head, "{t}a", .head))?.reason == .wrongType)
    #expect(try move("{t}none", .head, "{t}s", .head) == nil, "as in Redis")
    var request = request("{t}a", .head, "{t}b", .head)
    request.to = .UNRECOGNIZED(2)
    #expect(shard.failure(.lMove, request)?.reason == .unknownField)
    request.to = .head
    request.destination = Data("{t}".utf8 + Array(repeating: 1, count: 70_000))
    #expect(shard.failure(.lMove, request)?.reason == .invalidKey)
    #expect(try shard.list("{t}a") == ["1"])
  }

  @Test func aLargeValueIsMovedOnceAndComesLater() throws {
    let link = try Link(to: shard)
    let large = String(repeating: "x", count: 200_000)
    try shard.push("{t}a", [large])
    #expect(
      link.call(1, .lMove, request("{t}a", .head, "{t}b", .head)).first?.noticedBytes != nil)
    #expect(try shard.list("{t}a") == [] && shard.list("{t}b") == [large])
    link.grant(1, 1 << 30)
    shard.runTurns()
    let value = try Ringstore_V1_Value(
      serializedBytes: link.bulk.take().map(\.response).reduce(Data(), +))
    #expect(value.value == Data(large.utf8) && value.found)
    #expect(shard.core.store.pinnedBytes == 0)
  }

  /// The reply concerns both keys: it waits for the last change of either.
  @Test func theReplyWaitsForBothKeys() throws {
    let link = try Link(to: shard)
    let marks = shard.holding()
    _ = link.call(1, .set, Requests.set("{t}s", "text"))
    marks.nextBatch()
    _ = link.call(2, .rPush, Requests.push("{t}a", ["1"]))
    marks.commit(1)
    #expect(link.calls.take().map(\.id) == [1])
    // It tells that there is a list, which may be lost, and that the other is none.
    #expect(link.call(3, .lMove, request("{t}a", .head, "{t}s", .head)).isEmpty)
    marks.commit()
    #expect(link.calls.take().map(\.id) == [2, 3])
  }
}

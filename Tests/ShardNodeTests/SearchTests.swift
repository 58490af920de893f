// Calls that search long lists: they take turns with others, and keep their place among the calls
// on their key.

import Commands
import Foundation
import NIOCore
import NodeCore
import Placement
import ProtobufMessages
import RingstoreAPI
import Testing

@testable import ShardNode

@Suite struct SearchTests {
  private let shard: ShardFixture
  private let link: Link

  /// A list of 1,000 values, every tenth of which is `x`, and searches of 100 values a turn.
  init() throws {
    var limits = Limits()
    limits.searchStepsMax = 100
    shard = ShardFixture(limits: limits)
    link = try Link(to: shard)
    try shard.push("l", (0..<1_000).map { $0 % 10 == 7 ? "x" : "\($0)" })
    try shard.set("other", "v")
  }

  private func length(_ key: String) throws -> Int64 {
    try shard.call(.lLen, Requests.key(key), as: Ringstore_V1_Status.self).count
  }

  private func remove(
    _ value: String, count: Int64 = 0, key: String = "l"
  ) -> Ringstore_V1_ListRemoveRequest {
    .with { ($0.key, $0.value, $0.count) = (Data(key.utf8), Data(value.utf8), count) }
  }

  private func insert(
    _ value: String, after pivot: String, key: String = "l"
  ) -> Ringstore_V1_ListInsertRequest {
    .with {
      ($0.key, $0.pivot, $0.value) = (Data(key.utf8), Data(pivot.utf8), Data(value.utf8))
      $0.after = true
    }
  }

  private func find(
    _ value: String, rank: Int64 = 0, count: Int64? = nil, maxLength: Int64 = 0, key: String = "l"
  ) -> Ringstore_V1_ListPositionRequest {
    .with {
      ($0.key, $0.value, $0.rank) = (Data(key.utf8), Data(value.utf8), rank)
      if let count { $0.count = count }
      $0.maxLength = maxLength
    }
  }

  private func status(
    _ replies: [Ringstore_Internal_V1_LinkReply]
  ) throws -> Ringstore_V1_Status {
    #expect(replies.count == 1)
    let reply = try #require(replies.first)
    #expect(reply.code == 0, "\(reply.message)")
    return try Ringstore_V1_Status(serializedBytes: reply.response)
  }

  @Test func callsOnOtherKeysAreServedMeanwhile() throws {
    #expect(link.call(1, .lRem, remove("x")).isEmpty)
    #expect(link.call(2, .get, Requests.key("other")).map(\.id) == [2])
    #expect(shard.core.unfinished.count == 1)
    #expect(shard.runTurns() >= 9)
    #expect(try status(link.calls.take()).count == 100)
    #expect(try length("l") == 900)
    #expect(shard.core.unfinished.count == 0)
  }

  @Test func everySearchingCallGoesInTurns() throws {
    #expect(link.call(1, .lInsert, insert("new", after: "995")).isEmpty)
    shard.runTurns()
    let inserted = try status(link.calls.take())
    #expect(inserted.ok && inserted.count == 1_001)
    #expect(link.call(2, .lPos, find("new")).isEmpty)
    shard.runTurns()
    let found = try Ringstore_V1_ListPositions(
      serializedBytes: try #require(link.calls.take().first).response)
    #expect(found.found && found.indexes == [996])
    #expect(link.call(3, .lInsert, insert("y", after: "no such value")).isEmpty)
    shard.runTurns()
    let refused = try status(link.calls.take())
    #expect(!refused.ok && refused.count == 1_001)
    #expect(link.call(4, .lRem, remove("996", count: -1)).count == 1, "it is near the tail")
  }

  /// A later call on the key makes it come to its end first.
  @Test func laterCallsOnTheKeyComeBehind() throws {
    link.calls.give { frame in
      frame.call(1, .lRem, remove("x"))
      frame.call(2, .lLen, Requests.key("l"))
      frame.call(3, .get, Requests.key("other"))
    }
    let replies = link.calls.take()
    #expect(replies.map(\.id) == [2, 3])
    #expect(try Ringstore_V1_Status(serializedBytes: replies[0].response).count == 900)
    shard.runTurns()
    #expect(try status(link.calls.take()).count == 100)
  }

  @Test func oneSearchOnAKeyComesBehindTheOther() throws {
    link.calls.give { frame in
      frame.call(1, .lRem, remove("x", count: 60))
      frame.call(2, .lRem, remove("x", count: -60))
      frame.call(3, .lPos, find("x", count: 0))
    }
    shard.runTurns()
    let replies = link.calls.take()
    #expect(replies.map(\.id) == [1, 2, 3])
    let counts = try replies.prefix(2).map {
      try Ringstore_V1_Status(serializedBytes: $0.response).count
    }
    #expect(counts == [60, 40])
    #expect(
      try Ringstore_V1_ListPositions(serializedBytes: replies[2].response).indexes.isEmpty)
  }

  @Test func aMoveToTheKeyComesBehind() throws {
    try shard.push("m", ["x"])
    let slots = ["l", "m"].map { key in Array(key.utf8).withUnsafeBytes { Slots.slot(of: $0) } }
    try #require(slots[0] != slots[1])
    try shard.push("{l}m", ["x"])
    let move = Ringstore_V1_ListMoveRequest.with {
      ($0.key, $0.destination, $0.to) = (Data("{l}m".utf8), Data("l".utf8), .tail)
    }
    link.calls.give { frame in
      frame.call(1, .lRem, remove("x"))
      frame.call(2, .lMove, move)
    }
    shard.runTurns()
    #expect(try length("l") == 901)
  }

  @Test func aCallThatIsTakenBackIsNotExecuted() throws {
    #expect(link.call(1, .lRem, remove("x")).isEmpty)
    shard.core.runTurn()
    link.calls.give { $0.bytes.append(LinkV1.RouterFrame.Field.cancels, 1) }
    shard.runTurns()
    #expect(link.calls.take().count == 1)
    #expect(shard.core.unfinished.count == 0)
    #expect(try length("l") == 1_000)
  }

  @Test func aNewerLinkFencesItOff() throws {
    #expect(link.call(1, .lRem, remove("x")).isEmpty)
    let newer = try Link(to: shard, generation: 2)
    shard.runTurns()
    #expect(link.calls.take().isEmpty && newer.calls.take().isEmpty)
    #expect(try length("l") == 1_000)
  }

  @Test func whatHasWaitedTooLongIsNotExecuted() throws {
    shard.clock.nowNanos += 1
    #expect(link.call(1, .lRem, remove("x")).isEmpty)
    shard.clock.nowNanos += (LinkProtocol.callAgeMillisMax + 1_000) * 1_000_000
    shard.runTurns()
    let reply = try #require(link.calls.take().first)
    #expect(reply.code != 0)
    #expect(try length("l") == 1_000)
  }

  @Test func theListMayGoMeanwhile() throws {
    #expect(link.call(1, .lRem, remove("x")).isEmpty)
    shard.core.runTurn()
    let slot = Array("l".utf8).withUnsafeBytes { Slots.slot(of: $0) }
    shard.core.store.reset(slot: slot, database: 0)
    shard.runTurns()
    #expect(try status(link.calls.take()).count == 0)
  }

  @Test func theReplyWaitsForWhatItHasChanged() throws {
    let marks = shard.holding()
    #expect(link.call(1, .lRem, remove("x")).isEmpty)
    marks.commit()
    shard.runTurns()
    #expect(link.calls.take().isEmpty)
    marks.commit()
    #expect(try status(link.calls.take()).count == 100)
    // Brought to its end by a call on its key.
    try shard.push("l", (0..<1_000).map { "\($0)" })
    marks.commit()
    link.calls.give { frame in
      frame.call(2, .lRem, remove("999"))
      frame.call(3, .lLen, Requests.key("l"))
    }
    shard.runTurns()
    #expect(link.calls.take().isEmpty)
    marks.commit()
    #expect(link.calls.take().map(\.id).sorted() == [2, 3])
  }

  @Test func manySearchesAtATimeAreBounded() throws {
    let most = UnfinishedTable.callsMax
    for number in 0..<most + 10 { try shard.push("l\(number)", (0..<300).map { "\($0)" }) }
    link.calls.give { frame in
      for number in 0..<most + 10 {
        frame.call(UInt64(number), .lRem, remove("299", key: "l\(number)"))
      }
    }
    #expect(shard.core.unfinished.count == most)
    shard.runTurns()
    let replies = link.calls.take()
    #expect(replies.count == most + 10)
    for reply in replies {
      #expect(try Ringstore_V1_Status(serializedBytes: reply.response).count == 1)
    }
  }

  @Test func positionsAreThoseOfRedis() throws {
    try shard.push("p", ["a", "b", "c", "1", "2", "3", "c", "c"])
    func positions(_ request: Ringstore_V1_ListPositionRequest) throws -> [UInt64] {
      try shard.call(.lPos, request, as: Ringstore_V1_ListPositions.self).indexes
    }
    #expect(try positions(find("c", key: "p")) == [2])
    #expect(try positions(find("c", rank: 2, key: "p")) == [6])
    #expect(try positions(find("c", rank: -1, key: "p")) == [7])
    #expect(try positions(find("c", count: 2, key: "p")) == [2, 6])
    #expect(try positions(find("c", rank: -1, count: 2, key: "p")) == [7, 6])
    #expect(try positions(find("c", count: 0, key: "p")) == [2, 6, 7])
    #expect(try positions(find("c", count: 0, maxLength: 7, key: "p")) == [2, 6])
    #expect(try positions(find("c", rank: -2, count: 0, maxLength: 2, key: "p")) == [6])
    #expect(try positions(find("d", count: 0, key: "p")) == [])
    for rank in [Int64.min, .max] { #expect(try positions(find("c", rank: rank, key: "p")) == []) }
    #expect(try positions(find("c", count: .max, maxLength: .max, key: "p")) == [2, 6, 7])
    #expect(shard.failure(.lPos, find("c", count: -1, key: "p"))?.code == .invalidArgument)
    #expect(shard.failure(.lPos, find("c", maxLength: .min, key: "p"))?.code == .invalidArgument)
    let missing: Ringstore_V1_ListPositions = try shard.call(.lPos, find("c", key: "none"))
    #expect(!missing.found)
  }

  @Test func removalsCountFromEitherEnd() throws {
    try shard.push("p", ["a", "b", "a", "c", "a"])
    func removed(_ count: Int64) throws -> Int64 {
      try shard.call(.lRem, remove("a", count: count, key: "p"), as: Ringstore_V1_Status.self).count
    }
    #expect(try removed(-1) == 1)
    #expect(try length("p") == 4)
    #expect(try removed(.min) == 2)
    #expect(try removed(.max) == 0)
    try shard.push("q", ["a", "a"])
    let gone: Ringstore_V1_Status = try shard.call(.lRem, remove("a", count: .max, key: "q"))
    #expect(gone.count == 2 && gone.version > 0)
    let missing: Ringstore_V1_Status = try shard.call(.lRem, remove("a", key: "q"))
    #expect(missing.ok && missing.count == 0 && missing.version == 0)
    #expect(shard.failure(.lRem, remove("a", key: "other"))?.reason == .wrongType)
  }

  /// As many as there can be, so that the reply is not a short one.
  @Test func positionsOfALongListComeWhole() throws {
    let many = ShardFixture(limits: .wide)
    let link = try Link(to: many)
    for _ in 0..<3 {
      let _: Ringstore_V1_Status = try many.call(
        .rPush, Requests.push("l", Array(repeating: "x", count: 10_000)))
    }
    _ = link.call(1, .lPos, find("x", count: 0))
    many.runTurns()
    _ = link.calls.take()
    link.grant(1, 1 << 30)
    many.runTurns()
    let pieces = link.bulk.take()
    let found = try Ringstore_V1_ListPositions(
      serializedBytes: pieces.map(\.response).reduce(Data(), +))
    #expect(found.indexes == (0..<30_000).map { UInt64($0) })
  }
}

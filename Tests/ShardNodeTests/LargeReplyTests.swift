// Large replies over a link: the notice, the credit, the pieces, and every way in which they end.

import Commands
import GRPC
import NIOCore
import NodeCore
import ProtobufMessages
import RingstoreAPI
import SwiftProtobuf
import Testing

@testable import ShardNode

@Suite struct LargeReplyTests {
  let shard: ShardFixture
  let link: Link

  init() throws {
    shard = ShardFixture(limits: .wide)
    link = try Link(to: shard)
  }

  @Test func aNoticeTellsTheSizeAndPiecesFollowOnCredit() throws {
    try shard.set("k", pattern(200_000))
    let notice = try #require(link.call(7, .get, Requests.key("k")).first)
    let total = try #require(notice.noticedBytes)
    #expect(notice.id == 7)
    shard.runTurns()
    #expect(link.bulk.take().isEmpty, "nothing is sent without credit")

    link.grant(7, total)
    shard.runTurns()
    let pieces = link.bulk.take()
    #expect(pieces.map(\.id).allSatisfy { $0 == 7 })
    #expect(pieces.map(\.more) == [true, true, true, false])
    #expect(pieces.allSatisfy { $0.response.count <= Limits().pieceBytesMax })
    let message = pieces.flatMap { Array($0.response) }
    #expect(message.count == total)
    let value = try Ringstore_V1_Value(serializedBytes: message)
    #expect(value.value.holds(pattern(200_000)))
    #expect(link.calls.take().isEmpty)
    #expect(!shard.core.holdsViews && !shard.core.hasTurns)
  }

  @Test func aReplyIsLargeFromOneByteMoreThanTheBound() throws {
    // A value's message has its tag, three bytes of length, found, and a version of nine bytes.
    let fitting = Limits().bulkBytesMin - 1 - 3 - 2 - 9
    try shard.set("{k}fits", pattern(fitting))
    try shard.set("{k}large", pattern(fitting + 1))
    let fits = try #require(link.call(1, .get, Requests.key("{k}fits")).first)
    #expect(fits.response.count == Limits().bulkBytesMin && !fits.more)
    let large = try #require(link.call(2, .get, Requests.key("{k}large")).first)
    #expect(large.noticedBytes == Limits().bulkBytesMin + 1)
  }

  @Test func creditIsExceededByLessThanAPiece() throws {
    try shard.set("k", pattern(400_000))
    _ = link.call(1, .get, Requests.key("k"))
    var granted = 0
    var sent = 0
    for bytes in [1, 1, 65_536, 10, 100_000, 65_535, 200_000] {
      granted += bytes
      link.grant(1, bytes)
      shard.runTurns()
      sent += link.bulk.take().reduce(0) { $0 + $1.response.count }
      #expect(sent < granted + Limits().pieceBytesMax)
      #expect(sent >= min(granted, 400_000))
    }
    #expect(sent > 400_000)
  }

  @Test func whatIsWrittenLaterDoesNotShow() throws {
    try shard.set("k", pattern(100_000))
    link.calls.give { frame in
      frame.call(1, .get, Requests.key("k"))
      frame.call(2, .set, Requests.set("k", "new"))
      frame.call(3, .get, Requests.key("k"))
    }
    let replies = link.calls.take()
    #expect(replies.map(\.id) == [1, 2, 3])
    #expect(try Ringstore_V1_Value(serializedBytes: replies[2].response).value == .init("new".utf8))
    #expect(shard.core.store.pinnedBytes >= 100_000)
    let value: Ringstore_V1_Value = try gather(1)
    #expect(value.value.holds(pattern(100_000)))
    #expect(shard.core.store.pinnedBytes == 0)
  }

  @Test func aLargeElementIsPoppedOnce() throws {
    try shard.push("l", [pattern(100_000), pattern(90_000, 1), "last"])
    #expect(link.call(1, .lPop, Requests.key("l")).first?.noticedBytes != nil)
    #expect(link.call(2, .lPop, Requests.key("l")).first?.noticedBytes != nil)
    #expect(link.call(3, .lPop, Requests.key("l")).first?.more == false)
    #expect(try !shard.call(.exists, Requests.key("l"), as: Ringstore_V1_Status.self).count.isOne)
    let second: Ringstore_V1_Value = try gather(2)
    let first: Ringstore_V1_Value = try gather(1)
    #expect(first.value.holds(pattern(100_000)))
    #expect(second.value.holds(pattern(90_000, 1)))
    #expect(shard.core.store.pinnedBytes == 0)
  }

  @Test(arguments: [CommandID.lPop, .rPop])
  func anElementThatNoReplyCanCarryStays(pop: CommandID) throws {
    var limits = Limits()
    limits.maxMessageBytes = 100_000
    let small = ShardFixture(limits: limits)
    let link = try Link(to: small)
    let _: Ringstore_V1_Status = try small.call(.rPush, Requests.push("l", [pattern(100_000)]))
    let reply = try #require(link.call(1, pop, Requests.key("l")).first)
    #expect(reply.code == StatusCode.resourceExhausted.rawValue)
    let length: Ringstore_V1_Status = try small.call(.lLen, Requests.key("l"))
    #expect(length.count == 1)
  }

  @Test func aLargeRangeComesWhole() throws {
    let values = (0..<40_000).map { "value \($0)" }
    try shard.push("l", values)
    #expect(link.call(1, .lRange, Requests.range("l", 0, -1)).isEmpty, "it is measured in turns")
    try shard.push("l", ["later"])
    shard.runTurns()
    #expect(link.calls.take().first?.noticedBytes != nil)
    let list: Ringstore_V1_ListValues = try gather(1)
    #expect(list.values.hold(values))
    #expect(list.length == 40_000)
  }

  @Test func aRangeBeyondTheLimitNamesTheStreamingCall() throws {
    var limits = Limits.wide
    limits.maxMessageBytes = 300_000
    let small = ShardFixture(limits: limits)
    let link = try Link(to: small)
    // Far beyond it, and so near that it has to be measured.
    for (key, count, size) in [("far", 10_000, 100), ("near", 2_320, 127), ("close", 20_000, 13)] {
      let values = Array(repeating: String(repeating: "x", count: size), count: count)
      let _: Ringstore_V1_Status = try small.call(.rPush, Requests.push(key, values))
    }
    let more: Ringstore_V1_Status = try small.call(
      .rPush, Requests.push("near", Array(repeating: String(repeating: "y", count: 130), count: 10))
    )
    #expect(more.count == 2_330)
    for (id, key) in ["far", "near", "close"].enumerated() {
      link.calls.give { $0.call(UInt64(id), .lRange, Requests.range(key, 0, -1)) }
      small.runTurns()
      let reply = try #require(link.calls.take().first)
      #expect(reply.id == UInt64(id) && !reply.more, "\(key)")
      #expect(reply.code == StatusCode.resourceExhausted.rawValue, "\(key)")
      #expect(reply.message.contains("LRangeStream"))
    }
    #expect(!small.core.holdsViews)
  }

  @Test func withoutABulkLaneTheReplyComesInPlace() throws {
    try shard.set("k", pattern(100_000))
    try shard.push("l", [pattern(100_000), "x"])
    let alone = try Link.accepted(.calls, shard, "r/9", 1)
    alone.give { frame in
      frame.call(1, .get, Requests.key("k"))
      frame.call(2, .lRange, Requests.range("l", 0, -1))
      frame.call(3, .lPop, Requests.key("l"))
    }
    let replies = alone.take()
    #expect(replies.map(\.more) == [false, false, false])
    #expect(replies.allSatisfy { $0.response.count > 100_000 })
  }

  // MARK: - Ends

  @Test func aCancelEndsItWithOneLastReply() throws {
    try shard.set("k", pattern(300_000))
    try shard.push("l", (0..<40_000).map { "value \($0)" })
    link.calls.give { frame in
      frame.call(1, .get, Requests.key("k"))
      frame.call(2, .get, Requests.key("k"))
      frame.call(3, .lRange, Requests.range("l", 0, -1))
    }
    _ = link.calls.take()
    link.grant(2, 1)
    shard.core.runTurn()
    shard.core.runTurn()
    // One waits for credit, one is on its way, one is being measured.
    link.calls.give { frame in
      for id in 1...3 { frame.bytes.append(LinkV1.RouterFrame.Field.cancels, UInt64(id)) }
    }
    shard.runTurns()
    let cancelled = StatusCode.cancelled.rawValue
    let bulk = link.bulk.take()
    #expect(bulk.filter { $0.code == cancelled && !$0.more }.map(\.id) == [2])
    // Behind the notice of a reply of which nothing was sent.
    let ends = link.calls.take()
    #expect(ends.map(\.id).sorted() == [1, 3] && ends.allSatisfy { $0.code == cancelled })
    #expect(!shard.core.holdsViews)
    link.grant(1, 1 << 20)
    link.calls.give { $0.bytes.append(LinkV1.RouterFrame.Field.cancels, 1) }
    shard.runTurns()
    #expect(link.bulk.take().isEmpty && link.calls.take().isEmpty, "a reply has two ends")
  }

  @Test func aFullBulkLaneGetsNoPieces() throws {
    try shard.set("k", pattern(300_000))
    _ = link.call(1, .get, Requests.key("k"))
    link.bulk.isWritable = false
    link.grant(1, 1 << 20)
    shard.runTurns()
    #expect(link.bulk.take().isEmpty)
    // What else the lane brings is still taken in.
    link.bulk.give { $0.call(2, .set, Requests.set("k", "v")) }
    #expect(link.bulk.take().map(\.code) == [0])
    link.bulk.framesUntilFull = 2
    link.bulk.drained()
    shard.runTurns()
    #expect(link.bulk.take().count == 2)
    link.bulk.drained()
    link.bulk.framesUntilFull = nil
    shard.runTurns()
    #expect(link.bulk.take().last?.more == false)
  }

  @Test(arguments: LinkLane.allCases)
  func aLostConnectionDropsWhatIsUnderWay(lane: LinkLane) throws {
    try shard.set("k", pattern(300_000))
    _ = link.call(1, .get, Requests.key("k"))
    link.grant(1, 1)
    shard.core.runTurn()
    (lane == .calls ? link.calls : link.bulk).session?.lost()
    link.grant(1, 1 << 20)
    shard.runTurns()
    #expect(link.bulk.take().count == 1)
    #expect(!shard.core.holdsViews)
  }

  @Test func anIdIsUsedOnceAtATime() throws {
    try shard.set("k", pattern(100_000))
    _ = link.call(1, .get, Requests.key("k"))
    let again = link.call(1, .get, Requests.key("k"))
    #expect(again.map(\.code) == [StatusCode.internal.rawValue])
    let _: Ringstore_V1_Value = try gather(1)
    #expect(link.call(1, .get, Requests.key("k")).first?.noticedBytes != nil)
  }

  /// Grants as much as there is and decodes what comes.
  private func gather<Response: Message>(_ id: UInt64) throws -> Response {
    link.grant(id, 100 << 20)
    shard.runTurns()
    let pieces = link.bulk.take()
    #expect(pieces.last?.more == false && pieces.allSatisfy { $0.code == 0 && $0.id == id })
    return try Response(serializedBytes: pieces.flatMap { Array($0.response) })
  }
}

extension Int64 {
  var isOne: Bool { self == 1 }
}

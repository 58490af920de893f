// Cancels of calls that wait for values, and of calls that have waited: a cancel and a value may
// cross, and the caller gets whichever came first.

import GRPC
import NodeCore
import ProtobufMessages
import RingstoreAPI
import SwiftProtobuf
import Testing

@testable import ShardNode

@Suite struct ParkedCancelTests {
  let shard: ShardFixture
  let link: Link

  init() throws {
    shard = ShardFixture(limits: .wide)
    link = try Link(to: shard)
  }

  private func cancel(_ ids: UInt64...) {
    link.calls.give {
      for id in ids { $0.bytes.append(LinkV1.RouterFrame.Field.cancels, id) }
    }
  }

  @Test func aCancelEndsIt() throws {
    _ = link.call(1, .lPop, Requests.pop("q", waitMillis: 1_000))
    _ = link.call(2, .lPop, Requests.pop("q", waitMillis: 1_000))
    cancel(1)
    let cancelled = try #require(link.calls.take().first)
    #expect(cancelled.id == 1 && cancelled.code == StatusCode.cancelled.rawValue)
    #expect(link.call(3, .rPush, Requests.push("q", ["a"])).map(\.id) == [3, 2])
  }

  /// Its router would tell the caller that nothing was taken.
  @Test func whatIsHeldIsNotCancelledAsIfItHadNotRun() throws {
    for id in 1...2 { _ = link.call(UInt64(id), .lPop, Requests.pop("q", waitMillis: 1_000)) }
    let marks = shard.holding()
    #expect(link.call(3, .rPush, Requests.push("q", ["a", pattern(200_000)])).isEmpty)
    cancel(1, 2)
    #expect(link.calls.take().isEmpty)
    marks.commit()
    let replies = link.calls.take()
    let small = try #require(replies.first { $0.id == 1 })
    #expect(try Ringstore_V1_Value(serializedBytes: small.response).value.holds("a"))
    let large = replies.filter { $0.id == 2 }
    #expect(large.count == 1 && large.first?.noticedBytes != nil, "it was executed")
    cancel(2)
    #expect(link.calls.take().map(\.code) == [StatusCode.cancelled.rawValue])
  }

  /// Over the other lane the cancel's reply could overtake the notice, and a router that has
  /// recalled the call would say that nothing was taken.
  @Test func aCancelOfALargeValueGetsItsReplyBehindTheNotice() throws {
    _ = link.call(1, .lPop, Requests.pop("q", waitMillis: 1_000))
    let notice = link.call(2, .rPush, Requests.push("q", [pattern(200_000)])).last
    #expect(notice?.noticedBytes != nil)
    cancel(1)
    #expect(link.calls.take().isEmpty, "it may have crossed the notice")
    cancel(1)
    let cancelled = try #require(link.calls.take().first)
    #expect(cancelled.id == 1 && cancelled.code == StatusCode.cancelled.rawValue)
    #expect(link.bulk.take().isEmpty && !shard.core.holdsViews)
  }

  @Test(arguments: [false, true])
  func aLargeValueThatACancelHasCrossedIsSentToARouterThatWantsIt(_ creditIsFirst: Bool) throws {
    _ = link.call(1, .lPop, Requests.pop("q", waitMillis: 1_000))
    let notice = link.call(2, .rPush, Requests.push("q", [pattern(200_000)])).last
    let total = try #require(notice?.noticedBytes)
    if creditIsFirst { link.grant(1, total) }
    cancel(1)
    if !creditIsFirst { link.grant(1, total) }
    shard.runTurns()
    let message = link.bulk.take().flatMap { Array($0.response) }
    #expect(try Ringstore_V1_Value(serializedBytes: message).value.holds(pattern(200_000)))
  }

  /// That the list is empty may be the effect of a call that could still be lost.
  @Test func theReplyToACancelWaitsAtTheGateAsThatOfAnEmptyListDoes() throws {
    _ = link.call(1, .rPush, Requests.push("q", ["a"]))
    let marks = shard.holding()
    #expect(link.call(2, .lPop, Requests.pop("q")).isEmpty)
    _ = link.call(3, .lPop, Requests.pop("q", waitMillis: 1_000))
    cancel(3)
    #expect(link.calls.take().isEmpty)
    marks.commit()
    #expect(
      link.calls.take().filter { $0.id == 3 }.map(\.code) == [StatusCode.cancelled.rawValue])
  }
}

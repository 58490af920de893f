// Calls that wait for values, as a shard's links see them: who is served and in which order, and
// every other way in which waiting ends.

import Commands
import GRPC
import NIOCore
import NodeCore
import Placement
import ProtobufMessages
import RingstoreAPI
import Store
import SwiftProtobuf
import Testing

@testable import ShardNode

typealias LinkReply = Ringstore_Internal_V1_LinkReply

@Suite struct ParkedCallTests {
  let shard: ShardFixture
  let link: Link

  init() throws {
    shard = ShardFixture(limits: .wide)
    link = try Link(to: shard)
  }

  // MARK: - Who is served

  @Test func aCallIsParkedAtOnceAndServedByThePush() throws {
    let notice = try #require(link.call(1, .lPop, Requests.pop("q", waitMillis: 1_000)).first)
    #expect(notice.id == 1 && notice.parked && notice.more && notice.code == 0)
    let parked = try Ringstore_Internal_V1_LinkCall(serializedBytes: notice.response)
    #expect(parked.method == UInt32(CommandID.lPop.rawValue))
    #expect(try Ringstore_V1_PopRequest(serializedBytes: parked.request).waitMillis == 1_000)
    #expect(shard.core.parkedCount == 1 && !shard.core.hasTurns, "it costs no turn")

    let replies = link.call(2, .rPush, Requests.push("q", ["a"]))
    #expect(replies.map(\.id) == [2, 1], "the reply to the push is first")
    #expect(try value(replies[1]) == "a")
    #expect(shard.core.parkedCount == 0 && shard.core.deadlines.isEmpty)
    #expect(try length("q") == 0)
    #expect(!shard.core.store.notesNewLists)
  }

  @Test func aListWithValuesIsNotWaitedFor() throws {
    _ = link.call(1, .rPush, Requests.push("q", ["a", "b"]))
    #expect(try value(link.call(2, .rPop, Requests.pop("q", waitMillis: 1_000)).first) == "b")
    #expect(shard.core.parkedCount == 0)
  }

  @Test func whoCameFirstIsServedFirst() throws {
    for id in 1...5 { _ = link.call(UInt64(id), .lPop, Requests.pop("q", waitMillis: 1_000)) }
    let replies = link.call(9, .rPush, Requests.push("q", ["a", "b", "c"]))
    #expect(replies.map(\.id) == [9, 1, 2, 3])
    #expect(try replies.dropFirst().map(value) == ["a", "b", "c"])
    #expect(shard.core.parkedCount == 2)
    // A call that doesn't wait has no place before those that do: they have been served by then.
    let late = link.call(10, .lPop, Requests.pop("q"))
    #expect(try value(late.first) == nil)
    let rest = link.call(11, .lPush, Requests.push("q", ["d", "e"]))
    #expect(rest.map(\.id) == [11, 4, 5])
    #expect(try rest.dropFirst().map(value) == ["e", "d"])
  }

  @Test func thoseOfSeveralLinksAreServedInOneOrder() throws {
    let other = try Link(to: shard, router: "r/1")
    _ = link.call(1, .lPop, Requests.pop("q", waitMillis: 1_000))
    _ = other.call(1, .lPop, Requests.pop("q", waitMillis: 1_000))
    _ = link.call(2, .lPop, Requests.pop("q", waitMillis: 1_000))
    let replies = other.call(2, .rPush, Requests.push("q", ["a", "b", "c"]))
    #expect(replies.map(\.id) == [2, 1])
    #expect(try value(replies[1]) == "b")
    let ours = link.calls.take()
    #expect(ours.map(\.id) == [1, 2])
    #expect(try ours.map(value) == ["a", "c"])
  }

  @Test func oneOfSeveralListsIsEnoughAndIsNamed() throws {
    let pop = Requests.pop("{q}1", waitMillis: 1_000, others: ["{q}2", "{q}3"])
    _ = link.call(1, .lPop, pop)
    let replies = link.call(2, .rPush, Requests.push("{q}3", ["a"]))
    #expect(replies.map(\.id) == [2, 1])
    let got = try Ringstore_V1_Value(serializedBytes: replies[1].response)
    #expect(got.value.holds("a") && got.key.holds("{q}3"))
    // It stands in no other list's queue any more.
    #expect(link.call(3, .rPush, Requests.push("{q}1", ["b"])).map(\.id) == [3])
    #expect(try length("{q}1") == 1)
    // The lists are tried in the order in which they are named.
    _ = link.call(4, .rPush, Requests.push("{q}2", ["c"]))
    let again = try #require(link.call(5, .lPop, pop).first)
    #expect(try Ringstore_V1_Value(serializedBytes: again.response).key.holds("{q}1"))
  }

  @Test func listsOfDatabasesAreDifferentOnes() throws {
    _ = link.call(1, .lPop, Requests.pop("q", waitMillis: 1_000, database: 1))
    #expect(link.call(2, .rPush, Requests.push("q", ["a"])).map(\.id) == [2])
    var push = Requests.push("q", ["b"])
    push.database = 1
    #expect(link.call(3, .rPush, push).map(\.id) == [3, 1])
  }

  @Test func aMoveServesWhoWaitsForItsDestination() throws {
    _ = link.call(1, .lMove, Requests.move("{q}1", "{q}2", waitMillis: 1_000))
    _ = link.call(2, .lMove, Requests.move("{q}2", "{q}3", waitMillis: 1_000))
    _ = link.call(3, .lPop, Requests.pop("{q}3", waitMillis: 1_000))
    let replies = link.call(4, .rPush, Requests.push("{q}1", ["a"]))
    #expect(replies.map(\.id) == [4, 1, 2, 3])
    #expect(try replies.dropFirst().map(value) == ["a", "a", "a"])
    #expect(shard.core.store.totalKeyCount == 0)
  }

  @Test func aMovedValueIsGivenToTheCallThatHasWaitedLongest() throws {
    _ = link.call(1, .lPop, Requests.pop("{q}2", waitMillis: 1_000))
    _ = link.call(2, .lMove, Requests.move("{q}1", "{q}2", waitMillis: 1_000))
    // It is next for the list that the push brings, and would take from the other one first.
    _ = link.call(3, .lPop, Requests.pop("{q}2", waitMillis: 1_000, others: ["{q}1"]))
    let replies = link.call(4, .rPush, Requests.push("{q}1", ["a", "b"]))
    #expect(replies.map(\.id) == [4, 2, 1, 3])
    #expect(try replies.dropFirst().map(value) == ["a", "a", "b"])
    #expect(shard.core.store.totalKeyCount == 0 && shard.core.parkedCount == 0)
  }

  @Test func callsOnSeveralListsAreServedInOrderOfArrival() throws {
    _ = link.call(1, .lMove, Requests.move("{q}1", "{q}2", waitMillis: 1_000))
    _ = link.call(2, .lPop, Requests.pop("{q}1", waitMillis: 1_000))
    // It is the only one for the list that the move brings.
    _ = link.call(3, .lPop, Requests.pop("{q}1", waitMillis: 1_000, others: ["{q}2"]))
    let replies = link.call(4, .rPush, Requests.push("{q}1", ["a", "b"]))
    #expect(replies.map(\.id) == [4, 1, 2, 3])
    #expect(try replies.dropFirst().map(value) == ["a", "b", "a"])
  }

  @Test func aListThatGoesRoundServesAllWhoWait() throws {
    for id in 1...3 {
      _ = link.call(UInt64(id), .lMove, Requests.move("q", "q", waitMillis: 1_000))
    }
    #expect(link.call(4, .rPush, Requests.push("q", ["a"])).map(\.id) == [4, 1, 2, 3])
    #expect(try length("q") == 1)
  }

  @Test func whatBecomesAStringMeanwhileIsWaitedForOn() throws {
    _ = link.call(1, .lPop, Requests.pop("q", waitMillis: 1_000))
    _ = link.call(2, .set, Requests.set("q", "text"))
    #expect(link.call(3, .rPush, Requests.push("q", ["a"])).map(\.id) == [3])
    _ = link.call(4, .delete, Requests.key("q"))
    #expect(link.call(5, .rPush, Requests.push("q", ["a"])).map(\.id) == [5, 1])
  }

  @Test func aCallForSeveralListsOfWhichOneHasBecomeAStringIsRefusedWhenAnotherComes() throws {
    _ = link.call(1, .lPop, Requests.pop("{q}a", waitMillis: 1_000, others: ["{q}b"]))
    _ = link.call(2, .set, Requests.set("{q}a", "text"))
    let replies = link.call(3, .rPush, Requests.push("{q}b", ["b"]))
    #expect(replies.map(\.id) == [3, 1])
    #expect(replies[1].code == StatusCode.failedPrecondition.rawValue)
    #expect(try length("{q}b") == 1)
  }

  /// For every way in which a call ends: new lists are noted only while a call waits.
  @Test func nothingIsNotedWhenTheLastCallHasLeftUnserved() throws {
    _ = link.call(1, .lPop, Requests.pop("q", waitMillis: 1_000))
    #expect(shard.core.store.notesNewLists)
    link.calls.give { $0.bytes.append(LinkV1.RouterFrame.Field.cancels, UInt64(1)) }
    _ = link.calls.take()
    #expect(shard.core.parkedCount == 0 && !shard.core.store.notesNewLists)
    _ = link.call(2, .rPush, Requests.push("other", ["a"]))
    #expect(!shard.core.store.hasNewLists)
  }

  /// One push leads to the replies of all that pass the value on: more than a frame may hold.
  @Test func theRepliesOfManyThatWereServedAtOnceFitIntoFrames() throws {
    let count: UInt64 = 100
    for id in 1...count {
      _ = link.call(id, .lMove, Requests.move("q", "q", waitMillis: 1_000))
    }
    let before = link.calls.frameBytes.count
    let replies = link.call(count + 1, .rPush, Requests.push("q", [pattern(60_000)]))
    #expect(replies.count == Int(count) + 1)
    let frames = link.calls.frameBytes[before...]
    #expect(frames.allSatisfy { $0 < LinkProtocol.frameBytes + 100_000 })
  }

  @Test func aCallThatCanTakeNothingGetsItsErrorAndTheNextTheValue() throws {
    _ = link.call(1, .set, Requests.set("{q}text", "text"))
    _ = link.call(2, .lMove, Requests.move("{q}", "{q}text", waitMillis: 1_000))
    _ = link.call(3, .lPop, Requests.pop("{q}", waitMillis: 1_000))
    let replies = link.call(4, .rPush, Requests.push("{q}", ["a"]))
    #expect(replies.map(\.id) == [4, 2, 3])
    #expect(replies[1].code == StatusCode.failedPrecondition.rawValue)
    #expect(try value(replies[2]) == "a")
  }

  @Test func aLargeValueComesInPieces() throws {
    _ = link.call(1, .lPop, Requests.pop("q", waitMillis: 1_000))
    let replies = link.call(2, .rPush, Requests.push("q", [pattern(200_000)]))
    #expect(replies.map(\.id) == [2, 1])
    let total = try #require(replies[1].noticedBytes)
    link.grant(1, total)
    shard.runTurns()
    let message = link.bulk.take().flatMap { Array($0.response) }
    #expect(try Ringstore_V1_Value(serializedBytes: message).value.holds(pattern(200_000)))
  }

  @Test func repliesWaitAtTheGateLikeOthers() throws {
    _ = link.call(1, .lPop, Requests.pop("q", waitMillis: 1_000))
    let marks = shard.holding()
    #expect(link.call(2, .rPush, Requests.push("q", ["a"])).isEmpty)
    #expect(shard.core.parkedCount == 0, "it has been executed")
    marks.commit()
    #expect(Set(link.calls.take().map(\.id)) == [1, 2])
  }

  // MARK: - How waiting ends otherwise

  @Test func atTheEndOfItsTimeAWaitingCallGetsNoValue() throws {
    _ = link.call(1, .lPop, Requests.pop("q", waitMillis: 1_000))
    _ = link.call(2, .lPop, Requests.pop("q", waitMillis: 2_000))
    #expect(shard.core.dueNanos == shard.clock.nowNanos + 1_000_000_000)
    shard.clock.nowNanos += 1_000_000_000
    shard.core.endExpired()
    let replies = link.calls.take()
    #expect(replies.map(\.id) == [1] && replies.allSatisfy { $0.code == 0 && !$0.more })
    #expect(try value(replies[0]) == nil)
    #expect(link.call(3, .rPush, Requests.push("q", ["a"])).map(\.id) == [3, 2])
    #expect(shard.core.dueNanos == nil)
  }

  @Test func atTheEndOfItsTimeAMoveGetsNoValueEvenIfMemoryIsShort() throws {
    _ = link.call(1, .lMove, Requests.move("q", "q", waitMillis: 1_000))
    _ = link.call(2, .set, Requests.set("k", "v"))
    shard.core.store.memoryLimit = MemoryLimit(bytes: 1)
    shard.clock.nowNanos += 1_000_000_000
    shard.core.endExpired()
    let replies = link.calls.take()
    #expect(replies.map(\.id) == [1] && replies.allSatisfy { $0.code == 0 && !$0.more })
    #expect(try value(replies[0]) == nil)
  }

  @Test func aDeadlineEndsItBeforeAnythingIsTaken() throws {
    let deadline = shard.core.clockMillis + 50
    link.calls.give {
      $0.call(1, .lPop, Requests.pop("q", waitMillis: 1_000), deadlineMillis: deadline)
    }
    _ = link.calls.take()
    shard.clock.nowNanos += 100_000_000
    let replies = link.call(2, .rPush, Requests.push("q", ["a"]))
    #expect(replies.map(\.id) == [2, 1])
    #expect(replies[1].code == StatusCode.deadlineExceeded.rawValue)
    #expect(try length("q") == 1)
  }

  /// The router has given the link up, or will have before the bound on unknown outcomes.
  @Test func whatWaitsOnASilentLinkIsNotExecuted() throws {
    _ = link.call(1, .lPop, Requests.pop("q", waitMillis: 60_000))
    let other = try Link(to: shard, router: "r/1")
    shard.clock.nowNanos += (LinkProtocol.callAgeMillisMax + 1) * 1_000_000
    _ = other.call(1, .rPush, Requests.push("q", ["a"]))
    #expect(link.calls.take().map { $0.error?.reason } == [.shardUnavailable])
    #expect(try length("q") == 1)
  }

  @Test func aDrainEndsItAsNotExecuted() throws {
    for id in 1...3 { _ = link.call(UInt64(id), .lPop, Requests.pop("q", waitMillis: 1_000)) }
    shard.core.state = .draining
    shard.core.endParked()
    let replies = link.calls.take()
    #expect(replies.map(\.id) == [1, 2, 3])
    #expect(replies.allSatisfy { $0.error?.reason == .shardUnavailable })
    let late = link.call(4, .lPop, Requests.pop("q", waitMillis: 1_000))
    #expect(late.map { $0.error?.reason } == [.shardUnavailable])
    #expect(shard.core.parkedCount == 0)
  }

  @Test func aLinkThatIsLostWaitsForNothing() throws {
    _ = link.call(1, .lPop, Requests.pop("q", waitMillis: 1_000))
    link.bulk.session?.lost()
    #expect(shard.core.parkedCount == 0)
    let other = try Link(to: shard, router: "r/1")
    #expect(other.call(2, .rPush, Requests.push("q", ["a"])).map(\.id) == [2])
    #expect(try length("q") == 1)
  }

  @Test func aSlotThatGoesReturnsTheCall() throws {
    let map = try SlotMap.initial(["a", "b"].map { Maps.shard($0) })
    let key = try #require(
      (0..<100).map(String.init).first { key in
        map.ownerID(ofSlot: Array(key.utf8).withUnsafeBytes { Slots.slot(of: $0) }) == "b"
      })
    _ = link.call(1, .lPop, Requests.pop(key, waitMillis: 1_000))
    var adopt = Ringstore_Internal_V1_MapOffer()
    adopt.step = .adopt
    adopt.map = try SlotMap(epoch: 2, shards: map.shards, ranges: map.ranges).message
    let offer: [UInt8] = try adopt.serializedBytes()
    link.calls.give { frame in
      offer.withUnsafeBytes { frame.bytes.append(LinkV1.RouterFrame.Field.offer, $0) }
    }
    let returned = try #require(link.calls.take().first)
    #expect(returned.id == 1 && returned.more && returned.error?.reason == .wrongShard)
    let call = try Ringstore_Internal_V1_LinkCall(serializedBytes: returned.response)
    #expect(try Ringstore_V1_PopRequest(serializedBytes: call.request).key.holds(key))
    #expect(shard.core.parkedCount == 0)
  }

  // MARK: - Bounds and refusals

  @Test func whatIsParkedIsBounded() throws {
    var limits = Limits()
    limits.parkedCallsMax = 2
    let small = ShardFixture(limits: limits)
    let link = try Link(to: small)
    for id in 1...2 { _ = link.call(UInt64(id), .lPop, Requests.pop("q", waitMillis: 9)) }
    let refused = link.call(3, .lPop, Requests.pop("q", waitMillis: 9))
    #expect(refused.map { $0.error?.reason } == [.overloaded])
    link.calls.give { $0.bytes.append(LinkV1.RouterFrame.Field.cancels, 1) }
    _ = link.calls.take()
    #expect(link.call(4, .lPop, Requests.pop("q", waitMillis: 9)).first?.parked == true)
  }

  @Test func whatCannotBeServedIsRefused() throws {
    let others = (0..<64).map { "{q}\($0)" }
    for (request, reason) in [
      (Requests.pop("q", waitMillis: 86_400_001), ErrorReason.invalidWait),
      (Requests.pop("{q}", waitMillis: 1, others: ["other"]), .crossSlot),
      (Requests.pop("{q}", others: ["other"]), .crossSlot),
      (Requests.pop("{q}", waitMillis: 1, others: others), .tooManyItems),
    ] {
      #expect(shard.failure(.lPop, request)?.reason == reason)
    }
    try shard.set("text", "v")
    #expect(shard.failure(.lPop, Requests.pop("text", waitMillis: 1))?.reason == .wrongType)
  }

  /// Whether or not there is a value. An empty key has a slot too: that of most keys is another one.
  @Test func furtherKeysAreCheckedBeforeAnythingElse() throws {
    _ = link.call(1, .rPush, Requests.push("{q}full", ["a"]))
    let long = "{q}" + String(repeating: "x", count: shard.core.limits.maxKeyBytes)
    for first in ["{q}full", "{q}none"] {
      for other in ["", long] {
        for wait in [UInt32(0), 1] {
          let pop = Requests.pop(first, waitMillis: wait, others: [other])
          #expect(shard.failure(.lPop, pop)?.reason == .invalidKey)
          let move = Requests.move(first, other, waitMillis: wait)
          #expect(shard.failure(.lMove, move)?.reason == .invalidKey)
        }
      }
    }
    #expect(try length("{q}full") == 1)
  }

  @Test func queuesOfThousandsAreLeftInAnyOrder() throws {
    let count = 2_000
    for id in 1...count {
      _ = link.call(UInt64(id), .lPop, Requests.pop("q", waitMillis: 1_000))
    }
    var random = SplitMix64(seed: 3)
    var waiting = Set(1...UInt64(count))
    for id in (1...UInt64(count)).shuffled(using: &random).prefix(1_500) {
      link.calls.give { $0.bytes.append(LinkV1.RouterFrame.Field.cancels, id) }
      waiting.remove(id)
    }
    _ = link.calls.take()
    let values = (0..<500).map(String.init)
    let replies = link.call(9_999, .rPush, Requests.push("q", values))
    #expect(replies.dropFirst().map(\.id) == waiting.sorted())
    #expect(try replies.dropFirst().map(value) == values)
    #expect(shard.core.parkedCount == 0 && shard.core.parked.byteCount == 0)
  }

  // MARK: - After a link was lost

  @Test func aNewLinkReportsWhichCallsHaveRun() throws {
    for id in 1...3 { _ = link.call(UInt64(id), .lPop, Requests.pop("q\(id)", waitMillis: 1_000)) }
    let other = try Link(to: shard, router: "r/1")
    shard.core.watchLinks()
    _ = other.call(1, .rPush, Requests.push("q2", ["a"]))
    link.calls.session?.lost()
    #expect(try ranCalls(generation: 2, parked: [1, 2, 3]) == [2])
    // As long as the router hasn't heard it, the reply is the same.
    #expect(try ranCalls(generation: 3, parked: [1, 2, 3]) == [2])
  }

  @Test func whatARouterHasReceivedIsForgotten() throws {
    _ = link.call(1, .lPop, Requests.pop("q", waitMillis: 1_000))
    _ = link.call(2, .rPush, Requests.push("q", ["a"]))
    shard.clock.nowNanos += 500_000_000
    // The frame names a clock that was told after the reply.
    _ = link.call(3, .get, Requests.key("k"))
    link.calls.session?.lost()
    #expect(try ranCalls(generation: 2, parked: [1]) == [])
  }

  @Test func ofALinkThatTheShardDoesNotKnowAnythingMayHaveRun() throws {
    #expect(try ranCalls(router: "unknown", generation: 2, parked: [1, 7]) == [1, 7])
    link.calls.session?.lost()
    link.bulk.session?.lost()
    for _ in 0..<RouterSessions.looksRemembered + 1 { shard.core.watchLinks() }
    #expect(try ranCalls(generation: 2, parked: [1, 7]) == [1, 7])
  }

  private func ranCalls(
    router: String = "r/0", generation: UInt64, parked: [UInt64]
  ) throws -> [UInt64] {
    let lane = Lane(.calls, shard.core)
    var hello = try Link.hello(router: router, generation: generation)
    hello.parkedCalls = parked
    _ = try lane.greet(hello)
    let reply = try #require(lane.hello)
    #expect(reply.accepted)
    lane.session?.lost()
    return reply.ranCalls
  }

  // MARK: - Helpers

  private func value(_ reply: LinkReply?) throws -> String? {
    let reply = try #require(reply)
    let value = try Ringstore_V1_Value(serializedBytes: reply.response)
    return value.found ? String(decoding: value.value, as: UTF8.self) : nil
  }

  private func length(_ key: String) throws -> Int64 {
    try shard.call(.lLen, Requests.key(key), as: Ringstore_V1_Status.self).count
  }
}

extension LinkReply {
  fileprivate var error: CallError? {
    code == 0
      ? nil
      : Array(details).withUnsafeBytes {
        CallError(code: StatusCode(rawValue: code) ?? .unknown, message: message, details: $0)
      }
  }
}

extension Requests {
  static func pop(
    _ key: String, waitMillis: UInt32 = 0, others: [String] = [], database: UInt32 = 0
  ) -> Ringstore_V1_PopRequest {
    var request = Ringstore_V1_PopRequest()
    request.key = .init(key.utf8)
    request.waitMillis = waitMillis
    request.otherKeys = others.map { .init($0.utf8) }
    request.database = database
    return request
  }

  /// From the head of one list to the tail of another.
  static func move(
    _ source: String, _ destination: String, waitMillis: UInt32
  ) -> Ringstore_V1_ListMoveRequest {
    var request = Ringstore_V1_ListMoveRequest()
    request.key = .init(source.utf8)
    request.destination = .init(destination.utf8)
    request.to = .tail
    request.waitMillis = waitMillis
    return request
  }
}

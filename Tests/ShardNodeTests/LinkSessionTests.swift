// A shard's side of a link: who is greeted, what is executed, what is fenced off.

import GRPC
import NIOCore
import NodeCore
import ProtobufMessages
import RingstoreAPI
import SwiftProtobuf
import Testing

@testable import ShardNode

@Suite struct LinkSessionTests {
  let shard = ShardFixture()

  @Test func repliesComeInTheOrderOfTheCalls() throws {
    let link = try Link(to: shard)
    link.calls.give { frame in
      frame.call(1, .set, Requests.set("k", "v"))
      frame.call(2, .get, Requests.key("k"))
      frame.call(3, .get, Requests.key(""))
    }
    let replies = link.calls.take()
    #expect(replies.map(\.id) == [1, 2, 3])
    #expect(replies.map(\.code) == [0, 0, StatusCode.invalidArgument.rawValue])
    let value = try Ringstore_V1_Value(serializedBytes: replies[1].response)
    #expect(value.value == .init("v".utf8))
    #expect(!shard.core.hasTurns, "small calls wait for no turn")
  }

  @Test func onlyTheFirstRouterBringsANewMap() throws {
    let first = try Link.accepted(.calls, shard)
    #expect(first.session?.greeting == .accepted(router: "r/0", newMap: true))
    let second = try Link.accepted(.calls, shard, "r/0", 2)
    #expect(second.session?.greeting == .accepted(router: "r/0", newMap: false))
  }

  @Test func callsBeforeHelloAreRefused() throws {
    let lane = Lane(.calls, shard.core)
    let after = lane.give { $0.call(1, .set, Requests.set("k", "v")) }
    #expect(after == .end(.failedPrecondition, "the first frame must carry Hello"))
    #expect(try !shard.get("k").found)
  }

  @Test func aSecondHelloEndsTheLink() throws {
    let lane = try Link.accepted(.calls, shard)
    let after = try lane.greet(try Link.hello())
    guard case .end(.invalidArgument, _) = after else {
      Issue.record("a second Hello was taken: \(after)")
      return
    }
  }

  @Test(arguments: [
    ("other", "a", UInt64(1), "WRONG_CLUSTER"),
    ("test", "b", UInt64(1), "WRONG_SHARD"),
    ("test", "a", UInt64(0), "STALE_MAP"),
  ])
  func aHelloThatDoesNotFitIsRefusedWithTheReason(
    cluster: String, expected: String, epoch: UInt64, reason: String
  ) throws {
    _ = try Link(to: shard)
    let lane = Lane(.calls, shard.core)
    let after = try lane.greet(try Link.hello(cluster: cluster, expected: expected, epoch: epoch))
    let reply = try #require(lane.hello)
    #expect(!reply.accepted)
    #expect(reply.refusal == reason)
    #expect(after == .end(.failedPrecondition, reason))
    #expect(reply.hasMap == (reason == "STALE_MAP"))
  }

  @Test func aRouterWithAnotherHashSeedIsRefused() throws {
    var limits = Limits()
    limits.hashSeed = HashSeed(words: (1, 2))
    let shard = ShardFixture(limits: limits)
    let hello = try Link.hello()
    var ofAnotherHello = hello.sealed(by: limits.hashSeed)
    ofAnotherHello.generation += 1
    var without = hello
    without.hashSeedCheck = .init()
    for wrong in [hello, ofAnotherHello, without] {
      let lane = Lane(.calls, shard.core)
      _ = try lane.greet(wrong)
      #expect(lane.hello?.refusal == "WRONG_HASH_SEED")
    }
    let lane = Lane(.calls, shard.core)
    _ = try lane.greet(hello.sealed(by: limits.hashSeed))
    #expect(lane.hello?.accepted == true)
  }

  @Test func aCallThatItsFrameTakesBackIsNotExecuted() throws {
    let link = try Link(to: shard)
    link.calls.give { frame in
      frame.bytes.append(LinkV1.RouterFrame.Field.cancels, 3)
      frame.call(1, .set, Requests.set("one", "v"))
      frame.bytes.append(LinkV1.RouterFrame.Field.cancels, 2)
      frame.call(2, .set, Requests.set("two", "v"))
      frame.call(3, .set, Requests.set("three", "v"))
    }
    let cancelled = StatusCode.cancelled.rawValue
    #expect(link.calls.take().map(\.code) == [0, cancelled, cancelled])
    #expect(try shard.get("one").found && !shard.get("two").found && !shard.get("three").found)
  }

  /// A frame is read in one pass: its call has been executed by then.
  @Test func aCancelBehindItsCallComesTooLate() throws {
    let link = try Link(to: shard)
    link.calls.give { frame in
      frame.call(1, .set, Requests.set("one", "v"))
      frame.bytes.append(LinkV1.RouterFrame.Field.cancels, 1)
    }
    #expect(link.calls.take().map(\.code) == [0])
    #expect(try shard.get("one").found)
  }

  @Test func cancelsMayComePacked() throws {
    let link = try Link(to: shard)
    link.calls.give { frame in
      [UInt8(1), 3].withUnsafeBytes {
        frame.bytes.append(BytesField(LinkV1.RouterFrame.Field.cancels.number), $0)
      }
      for id in 1...3 { frame.call(UInt64(id), .set, Requests.set("k\(id)", "v")) }
    }
    let cancelled = StatusCode.cancelled.rawValue
    #expect(link.calls.take().map(\.code) == [cancelled, 0, cancelled])
  }

  @Test func anUndecodableFrameEndsTheLink() throws {
    let link = try Link(to: shard)
    var frame = RouterFrame()
    frame.bytes.writeBytes([0xff, 0xff, 0xff])
    guard case .end(.internal, _) = link.calls.give(frame) else {
      Issue.record("garbage was accepted")
      return
    }
    #expect(link.calls.session?.phase == .ended)
    #expect(link.calls.give { $0.call(1, .set, Requests.set("k", "v")) } == .proceed)
    #expect(try !shard.get("k").found, "a frame behind the end was executed")
  }

  @Test func manyRepliesComeInSeveralFrames() throws {
    try shard.set("k", pattern(60_000))
    let link = try Link(to: shard)
    let before = link.calls.frameBytes.count
    link.calls.give { frame in
      for id in 1...20 { frame.call(UInt64(id), .get, Requests.key("k")) }
    }
    #expect(link.calls.frameBytes.count - before == 4)
    #expect(link.calls.frameBytes.allSatisfy { $0 < LinkProtocol.frameBytes + 61_000 })
  }

  // MARK: - Back-pressure

  @Test func aConnectionThatIsFullHoldsTheRestOfTheFrame() throws {
    try shard.set("k", pattern(60_000))
    let link = try Link(to: shard)
    link.calls.isWritable = false
    link.calls.give { frame in
      for id in 1...20 { frame.call(UInt64(id), .get, Requests.key("k")) }
      frame.call(21, .set, Requests.set("k", "late"))
    }
    link.calls.give { frame in
      frame.bytes.append(LinkV1.RouterFrame.Field.cancels, 20)
      frame.call(22, .get, Requests.key("k"))
    }
    #expect(link.calls.take().map(\.id) == [1, 2, 3, 4, 5])
    #expect(try shard.get("k").value.count == 60_000, "a call overtook those before it")

    link.calls.drained()
    let rest = link.calls.take()
    #expect(rest.map(\.id) == Array(6...22))
    #expect(rest[14].code == StatusCode.cancelled.rawValue)
    #expect(try Ringstore_V1_Value(serializedBytes: rest[16].response).value == .init("late".utf8))
  }

  @Test func theRestOfAFrameIsHeldAsOftenAsTheConnectionIsFull() throws {
    try shard.set("k", pattern(60_000))
    let link = try Link(to: shard)
    link.calls.isWritable = false
    link.calls.give { frame in
      for id in 1...20 { frame.call(UInt64(id), .get, Requests.key("k")) }
    }
    var seen = link.calls.take().map(\.id)
    while seen.count < 20 {
      let before = seen.count
      link.calls.framesUntilFull = 1
      link.calls.drained()
      seen += link.calls.take().map(\.id)
      guard seen.count > before else { break }
      #expect(seen.count - before <= 5)
    }
    #expect(seen == Array(1...20))
  }

  // MARK: - Fence

  @Test func anOlderGenerationExecutesNothingMore() throws {
    let older = try Link(to: shard, generation: 1)
    _ = try Link.accepted(.calls, shard, "r/0", 2)
    for lane in [older.calls, older.bulk] {
      let after = lane.give { $0.call(1, .set, Requests.set("k", "v")) }
      guard case .end(.aborted, _) = after else {
        Issue.record("the older connection was served: \(after)")
        continue
      }
    }
    #expect(try !shard.get("k").found)
  }

  @Test func whatAnOlderGenerationHasLeftToDoIsNotDone() throws {
    try shard.set("held", pattern(60_000))
    try shard.set("large", pattern(100_000))
    let older = try Link(to: shard, generation: 1)
    older.calls.isWritable = false
    older.calls.give { frame in
      frame.keysPart(1)
      frame.call(2, .get, Requests.key("large"))
      for id in 3...12 { frame.call(UInt64(id), .get, Requests.key("held")) }
      frame.call(13, .set, Requests.set("k", "v"))
    }
    older.grant(2, 1 << 20)
    _ = older.calls.take()
    _ = try Link.accepted(.bulk, shard, "r/0", 2)
    #expect(!shard.core.holdsViews)
    shard.runTurns()
    #expect(older.calls.take().isEmpty && older.bulk.take().isEmpty)
    guard case .end(.aborted, _) = older.calls.drained() else {
      Issue.record("the older connection continued")
      return
    }
    shard.runTurns()
    #expect(older.calls.take().isEmpty && older.bulk.take().isEmpty)
    #expect(try !shard.get("k").found)
  }

  @Test func anotherRouterIsNotFencedOff() throws {
    let first = try Link(to: shard, router: "r/0", generation: 1)
    _ = try Link(to: shard, router: "r/1", generation: 2)
    #expect(first.call(1, .set, Requests.set("k", "v")).map(\.code) == [0])
  }

  @Test func aHelloOfAnOlderGenerationIsRefused() throws {
    _ = try Link(to: shard, generation: 2)
    let lane = Lane(.calls, shard.core)
    _ = try lane.greet(try Link.hello(generation: 1))
    #expect(lane.hello?.refusal == "STALE_GENERATION")
  }

  @Test func aGenerationHasEachLaneOnce() throws {
    let link = try Link(to: shard)
    let again = Lane(.calls, shard.core)
    _ = try again.greet(try Link.hello())
    #expect(again.hello?.refusal == "STALE_GENERATION")
    #expect(link.call(1, .set, Requests.set("k", "v")).map(\.code) == [0])
  }

  @Test func aDrainingShardTellsEachRouterOnce() throws {
    let link = try Link(to: shard)
    #expect(link.calls.session?.drainingFrame() != nil)
    #expect(link.bulk.session?.drainingFrame() == nil)
    #expect(Lane(.calls, shard.core).session?.drainingFrame() == nil)
    link.calls.give { $0.keysPart(1) }
    #expect(link.call(2, .set, Requests.set("k", "v")).map(\.code) == [0])
    shard.runTurns()
    #expect(link.calls.take().map(\.code) == [0], "earlier calls still get their replies")
  }

  @Test func aRouterMayAskForTheEnd() throws {
    let link = try Link(to: shard)
    #expect(!shard.core.shutdownRequested)
    link.calls.give { $0.part(1, .shutdownPart, Ringstore_V1_ShutdownRequest()) }
    #expect(link.calls.take().map(\.code) == [0])
    #expect(shard.core.shutdownRequested)
  }
}

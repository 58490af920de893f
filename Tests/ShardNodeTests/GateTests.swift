// The gate held shut and opened, seen from a router: what waits, in which order it leaves, and
// every way in which it ends without leaving.

import Commands
import GRPC
import NIOCore
import NodeCore
import ProtobufMessages
import RingstoreAPI
import SwiftProtobuf
import Testing

@testable import ShardNode

@Suite struct GateTests {
  let shard: ShardFixture
  let link: Link
  let marks: HandMarks

  init() throws {
    try self.init(.wide)
  }

  private init(_ limits: Limits) throws {
    shard = ShardFixture(limits: limits)
    link = try Link(to: shard)
    marks = shard.holding()
  }

  @Test func aWriteHasItsReplyWhenItIsCommitted() throws {
    #expect(link.call(1, .set, Requests.set("k", "v")).isEmpty)
    #expect(!shard.core.gate.isEmpty)
    marks.commit()
    let replies = link.calls.take()
    #expect(replies.map(\.id) == [1] && replies[0].code == 0)
    #expect(try Ringstore_V1_Status(serializedBytes: replies[0].response).ok)
    #expect(shard.core.gate.isEmpty && shard.core.gate.heldBytes == 0)
  }

  @Test func whateverTellsOfAnUncommittedChangeWaits() throws {
    link.calls.give { frame in
      frame.call(1, .set, Requests.set("k", "v"))
      frame.call(2, .get, Requests.key("k"))
      frame.call(3, .lLen, Requests.key("k"))
      frame.call(4, .delete, Requests.key("gone"))
      frame.call(5, .exists, Requests.key("gone"))
    }
    #expect(link.calls.take().isEmpty)
    marks.commit()
    let replies = link.calls.take()
    #expect(replies.map(\.id) == [1, 2, 3, 4, 5])
    #expect(replies[2].code == StatusCode.failedPrecondition.rawValue)
  }

  /// A key gets a mark each time that it is looked up.
  @Test func aCallLooksItsKeyUpOnce() throws {
    var id: UInt64 = 0
    func lookups(_ command: CommandID, _ request: some Message) -> Int {
      let before = marks.given.count
      id += 1
      _ = link.call(id, command, request)
      return marks.given.count - before
    }
    #expect(lookups(.set, Requests.set("k", pattern(300_000))) == 1)
    #expect(lookups(.get, Requests.key("k")) == 1, "a large value is pinned where it was found")
    #expect(lookups(Command.append.id, Requests.set("k", "more")) == 1)
    #expect(lookups(.delete, Requests.key("k")) == 1)
    #expect(lookups(.rPush, Requests.push("l", [pattern(300_000), "b"])) == 1)
    #expect(lookups(.lRange, Requests.range("l", 0, -1)) == 1)
    #expect(lookups(.lPop, Requests.key("l")) == 1, "a large value is taken where it was found")
  }

  @Test func whatTellsOfNothingUncommittedGoesAtOnce() throws {
    _ = link.call(1, .set, Requests.set("old", "v"))
    marks.commit()
    _ = link.calls.take()
    link.calls.give { frame in
      frame.call(2, .set, Requests.set("new", "v"))
      frame.call(3, .get, Requests.key("old"))
      frame.call(4, .get, Requests.key("missing"))
      frame.call(5, .set, Requests.set("", "refused before it was executed"))
      frame.part(6, .statsPart, Ringstore_V1_StatsRequest())
    }
    #expect(link.calls.take().map(\.id) == [3, 4, 5, 6])
    marks.commit()
    #expect(link.calls.take().map(\.id) == [2])
  }

  @Test func batchesLeaveOneAfterAnother() throws {
    for (id, key) in [(1, "a"), (2, "b"), (3, "c")] as [(UInt64, String)] {
      _ = link.call(id, .set, Requests.set(key, "v"))
      marks.nextBatch()
    }
    // A read of the first batch's key, after all of them.
    #expect(link.call(4, .get, Requests.key("a")).isEmpty)
    marks.commit(1)
    #expect(link.calls.take().map(\.id) == [1, 4])
    marks.commit(3)
    #expect(link.calls.take().map(\.id) == [2, 3])
  }

  /// Whatever is called and committed in whichever order: a reply leaves as soon as its mark is
  /// committed and never before, and none overtakes another on its key.
  @Test(arguments: 1...20)
  func repliesOfAKeyKeepTheirOrder(seed: Int) throws {
    var random = SplitMix64(seed: UInt64(seed))
    var waiting: [(id: UInt64, key: String, mark: ReplyMark)] = []
    var replied: [UInt64] = []
    var nextID: UInt64 = 1
    func settle() {
      let ids = link.calls.take().map(\.id)
      for id in ids {
        guard let place = waiting.firstIndex(where: { $0.id == id }) else {
          Issue.record("\(id) has two replies")
          continue
        }
        let reply = waiting.remove(at: place)
        #expect(reply.mark <= shard.core.gate.committed, "\(id) left before it was committed")
        #expect(!waiting.contains { $0.key == reply.key && $0.id < id }, "\(id) overtakes")
      }
      replied += ids
      #expect(waiting.allSatisfy { $0.mark > shard.core.gate.committed }, "some were forgotten")
    }
    for _ in 0..<400 {
      switch Int.random(in: 0..<10, using: &random) {
      case 0: marks.nextBatch()
      case 1 where marks.batch > shard.core.gate.committed.number:
        marks.commit(
          UInt64.random(in: shard.core.gate.committed.number...marks.batch, using: &random))
      default:
        let calls = (0..<Int.random(in: 1...4, using: &random)).map { _ in
          (["a", "b", "c", "d"].randomElement(using: &random)!, Bool.random(using: &random))
        }
        link.calls.give { frame in
          for (place, call) in calls.enumerated() {
            let id = nextID + UInt64(place)
            if call.1 {
              frame.call(id, .set, Requests.set(call.0, "v"))
            } else {
              frame.call(id, .get, Requests.key(call.0))
            }
          }
        }
        for (call, mark) in zip(calls, marks.given.suffix(calls.count)) {
          waiting.append((nextID, call.0, mark))
          nextID += 1
        }
      }
      settle()
    }
    marks.commit()
    settle()
    #expect(waiting.isEmpty && replied.count == Int(nextID) - 1)
    #expect(shard.core.gate.isEmpty && shard.core.gate.heldBytes == 0)
  }

  // MARK: - Bounds

  @Test func pastTheBoundWritesAreRefusedAndReadsThatWouldWait() throws {
    var limits = Limits.wide
    limits.heldBytesMax = 1_000
    let tests = try GateTests(limits)
    let (link, marks) = (tests.link, tests.marks)
    _ = link.call(1, .set, Requests.set("committed", "v"))
    marks.commit()
    _ = link.calls.take()
    var taken: UInt64 = 0
    while !tests.shard.core.gate.isFull, taken < 100 {
      taken += 1
      #expect(link.call(100 + taken, .set, Requests.set("k", "v\(taken)")).isEmpty)
    }
    #expect(taken > 3 && taken < 10)
    let refused = link.call(2, .set, Requests.set("k", "refused"))
    #expect(refused.map(\.code) == [StatusCode.resourceExhausted.rawValue])
    let read = link.call(3, .get, Requests.key("k"))
    #expect(read.map(\.code) == [StatusCode.resourceExhausted.rawValue])
    #expect(link.call(4, .get, Requests.key("committed")).map(\.code) == [0])
    marks.commit()
    #expect(link.calls.take().count == Int(taken))
    #expect(link.call(5, .get, Requests.key("k")).map(\.code) == [0])
    #expect(try tests.shard.get("k").value.holds("v\(taken)"))
  }

  // MARK: - Views

  @Test func theTimeOfAViewBeginsWhenTheGateOpens() throws {
    _ = link.call(1, .set, Requests.set("k", pattern(150_000)))
    #expect(link.call(2, .get, Requests.key("k")).isEmpty)
    #expect(shard.core.holdsViews && shard.core.dueNanos == nil)
    shard.clock.nowNanos += shard.core.limits.viewNanosMax * 3
    shard.core.endExpired()
    marks.commit()
    #expect(link.calls.take().map(\.id) == [1, 2])
    #expect(shard.core.dueNanos == shard.clock.nowNanos + shard.core.limits.viewNanosMax)
    link.grant(2, 1 << 20)
    shard.runTurns()
    #expect(link.bulk.take().last?.more == false)
    #expect(!shard.core.holdsViews && shard.core.dueNanos == nil)
  }

  @Test func aViewThatIsHeldKeepsItsState() throws {
    _ = link.call(1, .set, Requests.set("k", pattern(150_000)))
    _ = link.call(2, .get, Requests.key("k"))
    _ = link.call(3, .set, Requests.set("k", pattern(150_000, 7)))
    marks.commit()
    link.grant(2, 1 << 20)
    shard.runTurns()
    let message = link.bulk.take().flatMap { Array($0.response) }
    #expect(try Ringstore_V1_Value(serializedBytes: message).value.holds(pattern(150_000)))
  }

  @Test func heldViewsAreBoundedAndTellOnlyAfterwards() throws {
    var limits = Limits.wide
    limits.maxPinnedBytes = 400_000
    let tests = try GateTests(limits)
    for id in 1...4 as ClosedRange<UInt64> {
      tests.link.calls.give { frame in
        frame.call(id * 10, .set, Requests.set("k\(id)", pattern(150_000)))
        frame.call(id * 10 + 1, .get, Requests.key("k\(id)"))
        frame.call(id * 10 + 2, .delete, Requests.key("k\(id)"))
      }
    }
    #expect(tests.shard.core.store.pinnedBytes <= 400_000)
    #expect(tests.link.calls.take().isEmpty && tests.link.bulk.take().isEmpty)
    tests.marks.commit()
    let replies = tests.link.calls.take()
    let aborted = replies.filter { $0.code == StatusCode.aborted.rawValue }.map(\.id)
    #expect(aborted == [11, 21])
    #expect(replies.filter { $0.noticedBytes != nil }.map(\.id) == [31, 41])
  }

  // MARK: - Ends before the gate opens

  @Test func aHeldReplyCanBeCancelled() throws {
    _ = link.call(1, .set, Requests.set("k", pattern(150_000)))
    _ = link.call(2, .get, Requests.key("k"))
    link.calls.give { $0.bytes.append(LinkV1.RouterFrame.Field.cancels, 2) }
    #expect(link.calls.take().map(\.code) == [StatusCode.cancelled.rawValue])
    #expect(!shard.core.holdsViews)
    marks.commit()
    #expect(link.calls.take().map(\.id) == [1])
    #expect(shard.core.gate.heldBytes == 0)
  }

  @Test func aLostLinkTakesItsHeldRepliesAlong() throws {
    _ = link.call(1, .set, Requests.set("k", pattern(150_000)))
    _ = link.call(2, .get, Requests.key("k"))
    link.calls.session?.lost()
    #expect(shard.core.gate.isEmpty && shard.core.gate.heldBytes == 0)
    #expect(!shard.core.holdsViews)
    marks.commit()
    #expect(link.calls.take().isEmpty)
  }

  @Test func callersThatComeAndGoLeaveNothingBehind() throws {
    for generation in 2...100 as ClosedRange<UInt64> {
      let lane = try Link.accepted(.calls, shard, "r/0", generation)
      lane.give { $0.call(1, .set, Requests.set("k", "v")) }
      lane.session?.lost()
    }
    #expect(shard.core.gate.isEmpty && shard.core.gate.heldBytes == 0)
    marks.commit()
  }

  @Test func whatIsGivenUpGetsAnError() throws {
    link.calls.give { frame in
      frame.call(1, .set, Requests.set("k", pattern(150_000)))
      frame.call(2, .exists, Requests.key("k"))
      frame.call(3, .get, Requests.key("k"))
      frame.call(4, .incrBy, Requests.increment("n", by: 1))
    }
    shard.core.gate.giveUp()
    let replies = link.calls.take()
    let reasons = replies.reduce(into: [UInt64: ErrorReason?]()) { reasons, reply in
      reasons[reply.id] =
        reply.details.withUnsafeBytes {
          CallError(code: .unavailable, message: reply.message, details: $0)
        }.reason
    }
    #expect(
      reasons == [
        1: .outcomeUnknown, 2: .shardUnavailable, 3: .shardUnavailable, 4: .outcomeUnknown,
      ])
    #expect(shard.core.gate.isEmpty && shard.core.gate.heldBytes == 0)
    #expect(!shard.core.holdsViews)
    let refused = link.call(5, .set, Requests.set("k", "v"))
    #expect(refused.map(\.code) == [StatusCode.resourceExhausted.rawValue])
  }

  // MARK: - Calls made of parts

  @Test func aSliceWaitsForTheKeysThatItVisited() throws {
    _ = link.call(1, .set, Requests.set("k", "v"))
    marks.nextBatch()
    let _: Ringstore_V1_Status = try shard.call(.delete, Requests.key("gone"))
    link.bulk.give { $0.keysPart(2, maxVisits: 100_000) }
    shard.runTurns()
    #expect(link.bulk.take().isEmpty)
    marks.commit(1)
    #expect(link.bulk.take().map(\.id) == [2], "it doesn't wait for the end of the log")
    link.bulk.give { $0.part(3, .dbSizePart, Ringstore_V1_DbSizeRequest()) }
    shard.runTurns()
    #expect(link.bulk.take().isEmpty, "a count tells of every key")
    marks.commit()
    #expect(link.bulk.take().map(\.id) == [3])
  }

  @Test func aStreamedListBeginsWhenTheGateOpens() throws {
    let _: Ringstore_V1_Status = try shard.call(.rPush, Requests.push("l", ["a", "b"]))
    link.streamList(1, Requests.range("l", 0, -1), credit: 1 << 20)
    let _: Ringstore_V1_Status = try shard.call(.delete, Requests.key("m"))
    link.streamList(2, Requests.range("m", 0, -1), credit: 1 << 20)
    shard.runTurns()
    #expect(link.bulk.take().isEmpty)
    marks.commit()
    shard.runTurns()
    #expect(Set(link.bulk.take().map(\.id)) == [1, 2])
  }
}

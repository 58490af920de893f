// Calls on slots that a shard doesn't own: it returns them, and later ones on their slots too, so
// that none overtakes another (LinkSession.barredSlots).

import NodeCore
import Placement
import ProtobufMessages
import RingstoreAPI
import Testing

@testable import ShardNode

@Suite struct ReturnedCallTests {
  private let shard = ShardFixture()
  private let lane: Lane
  private let both: SlotMap
  private let alone: SlotMap
  /// Keys that belong to the other shard until this one has every slot.
  private let key: String
  private let otherKey: String

  init() throws {
    both = try Maps.of(["a", "b"])
    alone = try SlotMap(
      epoch: 2, shards: both.shards,
      ranges: [SlotRange(first: 0, last: Slots.count - 1, shard: 0)])
    let owners = both
    func slot(_ key: String) -> Int { Array(key.utf8).withUnsafeBytes { Slots.slot(of: $0) } }
    let keys = (0...100).map { "key\($0)" }.filter { owners.ownerID(ofSlot: slot($0)) == "b" }
    let first = try #require(keys.first)
    key = first
    otherKey = try #require(keys.first { slot($0) != slot(first) })
    lane = Lane(.calls, shard.core)
    var hello = try Link.hello()
    hello.map = try both.message
    _ = try lane.greet(hello)
    lane.saysInForce(both)
    _ = lane.take()
  }

  /// Ids of the calls that were returned, and of those that were executed.
  private func taken() -> (returned: [UInt64], executed: [UInt64]) {
    let replies = lane.take()
    return (
      replies.filter { $0.more && $0.code != 0 }.map(\.id),
      replies.filter { $0.code == 0 }.map(\.id)
    )
  }

  /// The shard gets every slot.
  private func gainAll() throws {
    let offer = try Ringstore_Internal_V1_MapOffer.with {
      $0.step = .adopt
      $0.map = try alone.message
      $0.inForceEpoch = 1
    }
    lane.give { $0.offer(offer) }
    lane.saysInForce(alone)
    #expect(lane.mapReplies.last?.accepted == true)
  }

  @Test func aCallBehindAReturnedOneIsReturnedUntilThatHasArrivedAgain() throws {
    lane.give { $0.call(1, .set, Requests.set(key, "first")) }
    #expect(taken() == ([1], []))
    try gainAll()
    lane.give { $0.call(2, .set, Requests.set(key, "second")) }
    #expect(taken() == ([2], []), "it would overtake the first")
    lane.give { frame in
      frame.bytes.append(LinkV1.RouterFrame.Field.placedAgain, 1)
      frame.call(1, .set, Requests.set(key, "first"))
      frame.call(2, .set, Requests.set(key, "second"))
    }
    #expect(taken() == ([], [1, 2]))
    #expect(try shard.get(key).value == .init("second".utf8))
    lane.give { $0.call(3, .get, Requests.key(key)) }
    #expect(taken() == ([], [3]))
  }

  @Test func callsOfOneFrameAreReturnedAlike() throws {
    lane.give { frame in
      frame.call(1, .set, Requests.set(key, "v"))
      frame.call(2, .get, Requests.key(key))
    }
    #expect(taken() == ([1, 2], []))
  }

  @Test func callsOnOtherSlotsAreExecuted() throws {
    lane.give { $0.call(1, .get, Requests.key(key)) }
    try gainAll()
    _ = taken()
    lane.give { $0.call(2, .get, Requests.key(otherKey)) }
    #expect(taken() == ([], [2]))
  }

  /// Between the lanes the router keeps the order.
  @Test func theOtherLaneIsNotConcerned() throws {
    lane.give { $0.call(1, .get, Requests.key(key)) }
    try gainAll()
    let bulk = Lane(.bulk, shard.core)
    var hello = try Link.hello(epoch: 2)
    hello.map = try alone.message
    _ = try bulk.greet(hello)
    bulk.give { $0.call(2, .get, Requests.key(key)) }
    #expect(bulk.take().map(\.code) == [0])
  }
}

// A slot map that changes under a running router: shards that come and go, slots that change owner,
// calls that come back, maps of other routers.

import GRPC
import NIOCore
import NodeCore
import Placement
import ProtobufMessages
import RingstoreAPI
import Testing

@testable import RouterNode

@Suite struct MapChangeTests {
  // MARK: - A newer map

  @Test func aNewerMapIsOfferedToEveryShardAndInForceWhenAllHaveAdoptedIt() throws {
    let world = try ChangeFixture()
    world.push(world.next, from: 0)
    #expect(world.core.map.epoch == 1, "not in force yet")
    for shard in 0...1 {
      let offer = try #require(try world.offers(to: shard).first)
      #expect(offer.step == .adopt && offer.map.epoch == 2)
    }
    world.dial()
    let hello = try world.router.accept(2, inForce: false)
    #expect(hello.map.epoch == 2 && hello.inForceEpoch == 1)
    try world.adopted(0)
    try world.adopted(1)
    for shard in 0...2 {
      let offer = try #require(try world.offers(to: shard).last)
      #expect(offer.step == .adopt, "all have adopted it, and are asked whether they hold it")
    }
    #expect(world.core.map.epoch == 1)
    for shard in 0...2 { try world.adopted(shard) }
    #expect(world.core.map.epoch == 2 && world.core.shardIDs == ["a", "b", "c"])
    for shard in 0...2 {
      #expect(try world.offers(to: shard).map(\.step) == [.inForce])
    }
    #expect(!world.core.care.isNeeded)
  }

  @Test func oneShardThatKnowsItToBeInForceIsEnough() throws {
    let world = try ChangeFixture()
    world.push(world.next, from: 0)
    world.push(world.next, inForce: true, from: 1)
    #expect(world.core.map.epoch == 2)
  }

  /// Another map of the epoch may be in force: of two changes made at one time.
  @Test func aMapInForceIsRecognizedByItsContent() throws {
    let world = try ChangeFixture()
    world.push(world.next, from: 0)
    let other = try world.before.rebalanced(
      to: world.before.shards + [ShardDescription(id: "z", address: "h:1")])
    world.push(other, inForce: true, from: 1)
    #expect(world.core.map.sameContent(as: other))
    try world.adopted(0, inForce: true, round: world.core.agreement.round - 1)
    #expect(try world.offers(to: 0).allSatisfy { $0.step != .inForce })
  }

  @Test func anOfferInForceCarriesTheGreatestVersionThatShardsHaveReported() throws {
    let world = try ChangeFixture()
    world.push(world.next, from: 0)
    try world.acceptNewcomer()
    try world.adopted(0, versionsBelow: 700)
    try world.adopted(1, versionsBelow: 9)
    for shard in 0...2 { try world.adopted(shard, versionsBelow: 5) }
    let told = try world.offers(to: 2).filter { $0.step == .inForce }
    #expect(told.map(\.versionsBelow) == [700])
  }

  // MARK: - Calls

  @Test func callsOnSlotsThatMoveWaitAndGoToTheNewOwnerInTheirOrder() throws {
    let world = try ChangeFixture()
    let (moving, staying) = (world.movingKey, world.stayingKey)
    world.router.get(moving.key, caller: 1)
    let sent = try world.router.sent(to: moving.from).calls.map(\.id)
    world.push(world.next, from: 0)
    _ = try world.offers(to: 0)
    _ = try world.offers(to: 1)
    for caller in 2...3 { world.router.get(moving.key, caller: caller) }
    world.router.get(staying.key, caller: 4)
    #expect(try world.router.sent(to: staying.owner).calls.count == 1, "others continue")
    #expect(world.driver.paused[2] == 1 && world.driver.paused[3] == 1)
    try world.acceptNewcomer()
    try world.adopted(0)
    try world.adopted(1)
    for shard in 0...2 { try world.adopted(shard) }
    #expect(world.core.map.epoch == 2)
    #expect(try world.callsSent(to: 2).isEmpty, "one is still in progress at the old owner")
    // It was sent before the old owner adopted the map, and comes back behind its adoption.
    try world.returnCall(sent[0], moving.key, from: moving.from)
    let calls = try world.callsSent(to: 2)
    try #require(calls.count == 3)
    #expect(calls[0].id == sent[0])
    #expect(calls.map(\.id) == calls.map(\.id).sorted())
    #expect(calls[0].method == 2 && calls[0].request == world.request(moving.key))
    for call in calls { try world.router.reply(call.id, from: 2) }
    #expect((1...3).allSatisfy { world.driver.outcomes[$0] == .replied([1]) })
    try world.router.reply(world.lastStaying(caller: 4), from: staying.owner)
    #expect(world.router.isTidy)
  }

  @Test func callsToAShardThatHasJustJoinedWaitForItsLink() throws {
    let world = try ChangeFixture()
    world.push(world.next, inForce: true, from: 0)
    #expect(world.core.map.epoch == 2)
    world.router.get(world.movingKey.key, caller: 1)
    _ = try world.router.start(.dbSize, Ringstore_V1_DbSizeRequest(), caller: 2)
    #expect(world.driver.outcomes[1] == nil && world.driver.outcomes[2] == nil)
    try world.acceptNewcomer()
    #expect(try world.callsSent(to: 2).isEmpty, "it does not serve yet")
    try world.adopted(0, inForce: true)
    #expect(try world.callsSent(to: 2).count == 2)
    #expect(!world.core.care.isNeeded)
  }

  /// Another router may have told it so while this one has greeted it over one lane only.
  @Test func callsWaitForBothLanesOfAShardThatHasJoinedAndServes() throws {
    let world = try ChangeFixture()
    world.push(world.next, inForce: true, from: 0)
    world.dial()
    try world.router.greet(2, .calls, inForce: false)
    world.push(world.next, inForce: true, from: 2)
    world.router.get(world.movingKey.key, caller: 1)
    _ = try world.router.start(.dbSize, Ringstore_V1_DbSizeRequest(), caller: 2)
    #expect(world.driver.outcomes[1] == nil && world.driver.outcomes[2] == nil)
    #expect(try world.callsSent(to: 2).isEmpty)
    try world.router.greet(2, .bulk, inForce: false)
    #expect(try world.callsSent(to: 2).count == 2)
    #expect(!world.core.care.isNeeded)
  }

  @Test func aShardThatWasDroppedWhileItWasDialedIsNotGreeted() throws {
    let world = try ChangeFixture()
    world.push(world.next, from: 0)
    world.dial()
    let generation = try #require(world.driver.connections[2])
    // The map was taken back meanwhile: the newcomer belongs to no map any more.
    world.push(try #require(world.before.restored(after: world.next)), from: 1)
    #expect(world.driver.connections[2] == generation, "it is still being dialed")
    world.core.linkConnected(shard: 2, lane: .calls, generation: generation)
    #expect(try !world.router.sent(to: 2).hasHello)
    #expect(world.driver.connections[2] == nil)
    #expect(world.driver.events.contains(.shardDropped(shard: "c")))
    world.core.linkConnected(shard: 2, lane: .bulk, generation: generation)
    #expect(try !world.router.sent(to: 2, .bulk).hasHello)
  }

  @Test func callsToAShardThatCantBeReachedFailWhenThatIsKnown() throws {
    let world = try ChangeFixture()
    world.push(world.next, inForce: true, from: 0)
    world.router.get(world.movingKey.key, caller: 1)
    world.dial()
    world.router.lose(2)
    #expect(world.driver.outcomes[1]?.error?.reason == .shardUnavailable)
    world.router.get(world.movingKey.key, caller: 2)
    #expect(world.driver.outcomes[2]?.error?.reason == .shardUnavailable)
  }

  @Test func aCallInProgressAtTheOldOwnerDelaysLaterOnesOnItsSlot() throws {
    let world = try ChangeFixture()
    let moving = world.movingKey
    world.router.set(moving.key, caller: 1)
    let sent = try world.router.sent(to: moving.from).calls[0].id
    world.push(world.next, from: 0)
    world.router.get(moving.key, caller: 2)
    try world.acceptNewcomer()
    try world.comesIntoForce(from: 1)
    #expect(try world.callsSent(to: 2).isEmpty)
    try world.router.reply(sent, from: moving.from)
    #expect(world.driver.outcomes[1] == .replied([1]))
    #expect(try world.callsSent(to: 2).count == 1)
  }

  @Test func whenTheOldOwnerIsLostItsCallsEndAndWaitingOnesContinue() throws {
    let world = try ChangeFixture()
    let moving = world.movingKey
    world.router.set(moving.key, caller: 1)
    _ = try world.router.sent(to: moving.from)
    world.push(world.next, from: 1 - moving.from)
    world.router.get(moving.key, caller: 2)
    try world.acceptNewcomer()
    world.router.lose(moving.from)
    #expect(world.driver.outcomes[1]?.error?.reason == .outcomeUnknown)
    #expect(world.driver.outcomes[2] == nil, "it was never the old owner's")
    try world.comesIntoForce(from: 1 - moving.from)
    #expect(try world.callsSent(to: 2).count == 1)
  }

  @Test func aChangeThatTakesTooLongFailsTheCallsThatWait() throws {
    let world = try ChangeFixture()
    world.push(world.next, from: 0)
    world.router.get(world.movingKey.key, caller: 1)
    world.router.advance(millis: 5_001)
    let error = try #require(world.driver.outcomes[1]?.error)
    #expect(error.reason == .shardUnavailable && error.message.contains("slot map"))
    #expect(world.driver.paused[1] == 0)
  }

  @Test func largeCallsAndStreamsMoveToo() throws {
    let world = try ChangeFixture()
    let moving = world.movingKey
    world.router.set(moving.key, bytes: 100_000, caller: 1)
    let stream = try #require(try world.router.openStream(moving.key, caller: 2))
    let large = try world.router.sent(to: moving.from, .bulk)
    #expect(large.calls.map(\.id).last == stream)
    world.router.get(moving.key, caller: 3)
    world.push(world.next, from: 0)
    try world.acceptNewcomer()
    for call in large.calls { try world.returnCall(call, from: moving.from, .bulk) }
    #expect(world.core.requestedReplyBytes == 0)
    try world.comesIntoForce(from: 1)
    let moved = try world.router.sent(to: 2, .bulk)
    #expect(moved.calls.map(\.request) == large.calls.map(\.request))
    #expect(try world.callsSent(to: 2).isEmpty, "the small one waits for the large one before it")
    try world.router.reply(moved.calls[0].id, from: 2, .bulk)
    #expect(try world.callsSent(to: 2).count == 1)
  }

  @Test func partsMoveToo() throws {
    let world = try ChangeFixture()
    let moving = world.movingKey
    var request = Ringstore_V1_MGetRequest()
    request.keys = [.with { $0.key = .init(moving.key.utf8) }]
    _ = try world.router.start(.mGet, request, caller: 1)
    let sent = try world.router.sent(to: moving.from).calls
    world.push(world.next, from: 0)
    try world.acceptNewcomer()
    try world.returnCall(sent[0], from: moving.from)
    try world.comesIntoForce(from: 1)
    let calls = try world.callsSent(to: 2)
    try world.router.reply(try #require(calls.first).id, from: 2)
    #expect(world.driver.outcomes[1] != nil && world.router.isTidy)
  }

  // MARK: - Calls that come back without news

  @Test func aReturnedCallIsRoutedAgainALimitedNumberOfTimes() throws {
    let world = try ChangeFixture()
    let moving = world.movingKey
    world.router.get(moving.key, caller: 1)
    var times = 0
    while let call = try world.callsSent(to: moving.from).first {
      times += 1
      try world.returnCall(call, from: moving.from)
      #expect(try world.callsSent(to: moving.from).isEmpty, "not at once")
      world.router.advance(millis: 51)
    }
    #expect(times == 9)
    #expect(world.driver.outcomes[1]?.error?.reason == .wrongShard)
    #expect(world.router.isTidy && !world.core.care.isNeeded)
  }

  @Test func aReturnedCallCanBeCancelledAndKeepsItsDeadline() throws {
    let world = try ChangeFixture()
    let moving = world.movingKey
    let first = try #require(world.router.get(moving.key, caller: 1))
    world.router.set(
      moving.key, caller: 2, deadlineNanos: world.router.nowNanos + 40_000_000)
    for call in try world.callsSent(to: moving.from) {
      try world.returnCall(call, from: moving.from)
    }
    world.driver.gone.insert(1)
    world.core.cancel(first)
    world.router.advance(millis: 41)
    #expect(world.driver.outcomes[2]?.error == .deadlineExceeded)
    world.router.advance(millis: 60)
    #expect(try world.callsSent(to: moving.from).isEmpty)
    #expect(world.router.isTidy)
  }

  @Test func theDeadlineOfAReturnedCallIsTheSameOnTheOtherShardsClock() throws {
    let world = try ChangeFixture()
    let moving = world.movingKey
    world.router.set(moving.key, caller: 1, deadlineNanos: world.router.nowNanos + 900_000_000)
    let call = try #require(try world.callsSent(to: moving.from).first)
    world.push(world.next, from: 0)
    try world.acceptNewcomer(clockMillis: 5_001)
    try world.returnCall(call, from: moving.from)
    try world.comesIntoForce(from: 1)
    let again = try #require(try world.callsSent(to: 2).first)
    #expect(again.deadlineMillis == call.deadlineMillis + 4_999)
  }

  // MARK: - Disagreement

  @Test func aStaleRouterAdoptsTheShardsMap() throws {
    let world = try ChangeFixture(accepts: false)
    // Both shards say so, the second one to a Hello that was on its way.
    try world.greet(1)
    try world.refuse(0, "STALE_MAP", theirs: world.next, inForce: true)
    try world.replyRefused(1, "STALE_MAP", theirs: world.next, inForce: true)
    #expect(world.core.map.epoch == 2)
    #expect(!world.core.isMapRefused)
    #expect(!world.core.haveLinksBeenTried, "clients would come too early")
    world.router.advance(millis: 1)
    for shard in 0...2 {
      let hello = try world.router.accept(shard)
      #expect(hello.map.epoch == 2 && hello.inForceEpoch == 2)
    }
    world.router.get(world.movingKey.key, caller: 1)
    #expect(try world.callsSent(to: 2).count == 1)
  }

  /// The map has changed between the Hellos of its lanes, and the earlier one is refused.
  @Test func aShardThatRefusesTheEarlierOfTwoHellosIsDialedAgainAtOnce() throws {
    let world = try ChangeFixture(accepts: false)
    try world.greet(1)
    try world.refuse(0, "STALE_MAP", theirs: world.next, inForce: true)
    try world.greet(1, .bulk)
    try world.replyRefused(1, "STALE_MAP", theirs: world.next, inForce: true)
    world.router.advance(millis: 1)
    for shard in [0, 2] { try world.router.accept(shard) }
    #expect(!world.core.haveLinksBeenTried, "clients would come too early")
    #expect(try world.router.accept(1).map.epoch == 2)
    #expect(world.core.haveLinksBeenTried)
  }

  /// Another router has made a further change, which the newcomer has adopted from it.
  @Test func callsWaitForANewcomerThatRefusesAHelloWithAnOlderMap() throws {
    let world = try ChangeFixture()
    world.push(world.next, from: 0)
    try world.comesIntoForce(from: 0)
    world.router.get(world.movingKey.key, caller: 1)
    world.dial()
    try world.greet(2)
    let later = try #require(world.next.restored(after: world.next, listing: []))
    try world.replyRefused(2, "STALE_MAP", theirs: later, inForce: true)
    #expect(world.driver.outcomes[1] == nil)
    try world.acceptNewcomer()
    world.push(later, inForce: true, from: 2)
    #expect(world.driver.outcomes[1] == nil)
    #expect(try world.callsSent(to: 2).count == 1)
  }

  @Test func aShardThatComesBackBeforeItsLinkHasEndedIsDialedAgain() throws {
    let world = try ChangeFixture()
    world.push(world.next, from: 0)
    try world.acceptNewcomer()
    try world.comesIntoForce(from: 0)
    world.router.get(world.movingKey.key, caller: 1)
    let steps = try world.next.steps(to: world.before.shards)
    for map in steps { world.push(map, inForce: true, from: 0) }
    let left = world.driver.connections[2]
    #expect(try world.callsSent(to: 2).count == 1, "the link is busy")
    var refusal: String?
    world.core.change(to: world.next.shards, isPlan: false) { result in
      if case .failure(let failure) = result { refusal = failure.sentence }
    }
    let epoch = world.core.map.epoch + 1
    for shard in 0...1 { world.checked(shard, epoch: epoch) }
    #expect(world.driver.connections[2] != left)
    try world.acceptNewcomer()
    #expect(try world.offers(to: 0).last?.map.epoch == epoch)
    #expect(refusal == nil)
  }

  @Test func aMapThatAShardRefusesIsRolledBackToTheOwnersBefore() throws {
    let world = try ChangeFixture()
    world.push(world.next, from: 0)
    world.router.get(world.movingKey.key, caller: 1)
    try world.adopted(0)
    _ = try world.offers(to: 1)
    try world.refuses(1, epoch: 2, "MAP_CONFLICT", theirs: world.before)
    #expect(world.core.map.epoch == 1)
    for shard in 0...1 {
      let offer = try #require(try world.offers(to: shard).last)
      #expect(offer.step == .adopt && offer.map.epoch == 3)
      #expect(offer.map.shards.map(\.id) == ["a", "b", "c"], "the newcomer may own slots by now")
    }
    try world.acceptNewcomer()
    for shard in 0...1 { try world.adopted(shard) }
    for shard in 0...2 { try world.adopted(shard) }
    #expect(world.core.map.epoch == 3)
    #expect(try world.callsSent(to: world.movingKey.from).count == 1, "the call goes to its owner")
    for shard in 0...1 {
      let offer = try #require(try world.offers(to: shard).last)
      #expect(offer.step == .adopt && offer.map.epoch == 4 && offer.inForceEpoch == 3)
    }
    try world.adoptAndHold([0, 1])
    #expect(world.core.map.epoch == 4 && world.core.map.sameContent(as: world.before))
  }

  /// The router that takes a change back need not know that it has come into force.
  @Test func aRollbackRestoresAMapThatCameIntoForceMeanwhile() throws {
    let world = try ChangeFixture()
    let later = try world.next.rebalanced(
      to: world.next.shards + [ShardDescription(id: "z", address: "h:1")])
    world.push(later, from: 0)
    try world.refuses(1, epoch: 3, "MAP_CONFLICT", theirs: world.next, inForce: true)
    #expect(world.core.map.epoch == 2)
    let offer = try #require(try world.offers(to: 0).last)
    #expect(offer.map.epoch == 4 && offer.inForceEpoch == 2)
    #expect(offer.map.shards.map(\.id) == ["a", "b", "c", "z"])
  }

  @Test func twoChangesAtOnceAreBothRolledBack() throws {
    let world = try ChangeFixture()
    world.push(world.next, from: 0)
    let other = try world.before.rebalanced(
      to: world.before.shards + [ShardDescription(id: "z", address: "h:1")])
    try world.refuses(1, epoch: 2, "MAP_CONFLICT", theirs: other)
    let offer = try #require(try world.offers(to: 0).last)
    #expect(offer.map.epoch == 3 && offer.map.shards.map(\.id) == ["a", "b", "c", "z"])
    #expect(world.core.isMapChanging)
  }

  /// Its shard has accepted the map since, from another router.
  @Test func aLateRefusalOfAMapThatCameIntoForceIsOvertaken() throws {
    let world = try ChangeFixture()
    world.push(world.next, from: 0)
    try world.comesIntoForce(from: 0)
    _ = try world.offers(to: 1)
    try world.refuses(1, epoch: 2, "MAP_CONFLICT", theirs: world.before)
    #expect(!world.core.isMapRefused && world.core.map.epoch == 2)
    let offer = try #require(try world.offers(to: 1).last)
    #expect(offer.step == .adopt && offer.map.epoch == 2, "it is asked again")
    // One that serves by an older map has not held this one.
    try world.refuses(1, epoch: 2, "MAP_CONFLICT", theirs: world.before, inForce: true)
    #expect(world.core.isMapRefused)
  }

  @Test func aMapThatIsInForceElsewhereIsAdopted() throws {
    let world = try ChangeFixture()
    world.push(world.next, from: 0)
    let other = try world.before.rebalanced(
      to: world.before.shards + [ShardDescription(id: "z", address: "h:1")])
    try world.refuses(1, epoch: 2, "MAP_CONFLICT", theirs: other, inForce: true)
    #expect(world.core.map.sameContent(as: other))
  }

  /// Two routers could continue so, each of them taking back what the other does.
  @Test func aRouterThatRollsBackRepeatedlyPausesAndContinues() throws {
    let world = try ChangeFixture()
    world.push(world.next, from: 0)
    for epoch in UInt64(2)...6 {
      try world.refuses(1, epoch: epoch, "MAP_CONFLICT", theirs: world.before)
    }
    #expect(world.core.agreement.offered.epoch == 6)
    world.router.get(world.stayingKey.key, caller: 1)
    #expect(world.driver.outcomes[1] == nil, "slots that stay are served all the time")
    _ = try world.offers(to: 1)
    world.router.advance(millis: 1_001)
    #expect(try world.offers(to: 1).last?.map.epoch == 6)
    try world.refuses(1, epoch: 6, "MAP_CONFLICT", theirs: world.before)
    #expect(world.core.agreement.offered.epoch == 7)
  }
}

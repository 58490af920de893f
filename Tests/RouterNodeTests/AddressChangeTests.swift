// Shards that get other addresses: when their links are opened again, and what becomes of calls.

import NodeCore
import Placement
import RingstoreAPI
import Testing

@testable import RouterNode

@Suite struct AddressChangeTests {
  private let router: RouterFixture
  private let key: String

  init() throws {
    router = try RouterFixture()
    try router.acceptAll()
    for lane in LinkLane.allCases { _ = try router.sent(to: 0, lane) }
    key = router.key(of: 0)
  }

  private func readdress(_ address: String) {
    router.core.readdress([ShardDescription(id: "a", address: address)])
  }

  /// A call in progress. Returns its id.
  private func sentGet(caller: Int) throws -> UInt64 {
    let id = try #require(router.get(key, caller: caller))
    #expect(try router.sent(to: 0).calls.map(\.id) == [id])
    return id
  }

  private var moveMillis: UInt64 { LinkLimits().moveNanosMax / 1_000_000 }

  // MARK: - When a link is opened again

  @Test func anIdleLinkIsOpenedAtOnceAndCallsWaitForIt() throws {
    let generation = try #require(router.driver.connections[0])
    readdress("h:2")
    #expect(router.driver.addresses[0] == "h:2")
    #expect(router.driver.connections[0] != generation)
    router.get(key, caller: 1)
    #expect(router.driver.outcomes.isEmpty && router.driver.paused[1] == 1)
    try router.accept(0)
    let call = try #require(try router.sent(to: 0).calls.first)
    try router.reply(call.id, from: 0)
    #expect(router.driver.outcomes == [1: .replied([1])])
    #expect(router.isTidy && !router.core.care.isNeeded)
  }

  @Test func aLinkIsOpenedAgainWhenItsCallsHaveEnded() throws {
    let first = try sentGet(caller: 1)
    readdress("h:2")
    router.get(key, caller: 2)
    #expect(try router.sent(to: 0).calls.isEmpty, "a new call waits")
    #expect(router.driver.addresses[0] == "h:1")
    try router.reply(first, from: 0)
    #expect(router.driver.outcomes == [1: .replied([1])])
    #expect(router.driver.addresses[0] == "h:2")
    try router.accept(0)
    let second = try #require(try router.sent(to: 0).calls.first)
    try router.reply(second.id, from: 0)
    #expect(router.driver.outcomes[2] == .replied([1]))
    #expect(router.isTidy)
  }

  @Test func aLinkThatIsDownIsDialedAtOnce() throws {
    router.lose(0)
    #expect(try #require(router.core.nextWakeupNanos) > router.nowNanos)
    readdress("h:2")
    router.advance(millis: 0)
    #expect(router.driver.addresses[0] == "h:2")
  }

  @Test(arguments: [false, true])
  func aLinkThatIsBeingConnectedIsDialedAtTheNewAddressInstead(isGreeting: Bool) throws {
    router.lose(0)
    router.advance(millis: 2_000)
    let generation = try #require(router.driver.connections[0])
    if isGreeting {
      router.core.linkConnected(shard: 0, lane: .calls, generation: generation)
      _ = try router.sent(to: 0)
    }
    readdress("h:2")
    #expect(router.driver.addresses[0] == "h:2")
    router.get(key, caller: 1)
    #expect(router.driver.outcomes[1]?.error?.reason == .shardUnavailable)
    router.core.linkConnected(shard: 0, lane: .bulk, generation: generation)
    #expect(try !router.sent(to: 0, .bulk).hasHello, "the old attempt is over")
    try router.accept(0)
    #expect(router.core.unreachableDetail(shard: 0) == nil)
  }

  // MARK: - Calls that take too long

  @Test func callsThatTakeTooLongEndAsIfTheLinkWereLost() throws {
    _ = try sentGet(caller: 1)
    router.set(key, caller: 2)
    let stream = try #require(try router.openStream(key, caller: 3))
    _ = try router.sent(to: 0)
    _ = try router.sent(to: 0, .bulk)
    try router.reply(stream, from: 0, .bulk, [7], more: true)
    router.set(key, caller: 4)
    readdress("h:2")
    router.set(key, caller: 5)
    router.advance(millis: moveMillis - 1)
    #expect(router.driver.outcomes.isEmpty && router.driver.addresses[0] == "h:1")
    router.advance(millis: 1)
    #expect(router.driver.addresses[0] == "h:2")
    let reasons = (1...4).map { router.driver.outcomes[$0]?.error?.reason }
    #expect(
      reasons == [.shardUnavailable, .outcomeUnknown, .shardUnavailable, .shardUnavailable],
      "a read, a write, a stream, and a write that had not been sent")
    let message = try #require(router.driver.outcomes[1]?.error?.message)
    #expect(message.contains("its address has changed"))
    #expect(
      router.driver.events.contains {
        if case .linkLost("a", _) = $0 { true } else { false }
      }, "an operator can see why")
    #expect(router.driver.outcomes[5] == nil, "a call that waits is not lost")
    try router.accept(0)
    let call = try #require(try router.sent(to: 0).calls.first)
    try router.reply(call.id, from: 0)
    #expect(router.driver.outcomes[5] == .replied([1]))
    #expect(router.isTidy)
  }

  @Test func aThirdAddressDoesNotProlongTheWait() throws {
    _ = try sentGet(caller: 1)
    readdress("h:2")
    router.advance(millis: moveMillis - 1)
    readdress("h:3")
    router.advance(millis: 1)
    #expect(router.driver.addresses[0] == "h:3")
  }

  @Test func aCallerThatGetsItsErrorFindsTheLinkOpening() throws {
    _ = try sentGet(caller: 1)
    readdress("h:2")
    router.driver.whenTold = { [router, key] in
      router.driver.whenTold = nil
      router.get(key, caller: 2)
    }
    router.advance(millis: moveMillis)
    #expect(router.driver.outcomes[1] != nil && router.driver.outcomes[2] == nil)
    try router.accept(0)
    #expect(try router.sent(to: 0).calls.count == 1)
  }

  /// As one that was restarted meanwhile, and doesn't know whether the slot map is in force.
  @Test func callsWaitForALimitedTimeForAShardThatDoesNotServeAtItsNewAddress() throws {
    readdress("h:2")
    try router.accept(0, incarnation: 2, inForce: false)
    let dials = router.driver.connectCount
    router.advance(millis: moveMillis)
    router.get(key, caller: 1)
    #expect(router.driver.outcomes[1]?.error?.reason == .shardUnavailable)
    #expect(router.driver.connectCount == dials, "it has the right address")
  }

  @Test func aNewAddressThatCantBeReachedFailsTheCallsThatWait() throws {
    readdress("h:2")
    router.get(key, caller: 1)
    router.lose(0)
    #expect(router.driver.outcomes[1]?.error?.reason == .shardUnavailable)
    #expect(router.isTidy)
  }

  // MARK: - Changes of mind

  @Test func aLinkWhoseFormerAddressComesBackStaysOpen() throws {
    let first = try sentGet(caller: 1)
    let dials = router.driver.connectCount
    readdress("h:2")
    router.get(key, caller: 2)
    readdress("h:1")
    let second = try #require(try router.sent(to: 0).calls.first)
    for id in [first, second.id] { try router.reply(id, from: 0) }
    router.advance(millis: moveMillis)
    #expect(router.driver.connectCount == dials)
    #expect(router.driver.outcomes.count == 2 && router.isTidy && !router.core.care.isNeeded)
  }

  @Test func anAddressThatChangesWhileTheNewOneIsDialedIsFollowed() throws {
    readdress("h:2")
    router.get(key, caller: 1)
    readdress("h:3")
    #expect(router.driver.addresses[0] == "h:3" && router.driver.outcomes.isEmpty)
    try router.accept(0)
    #expect(try router.sent(to: 0).calls.count == 1)
  }

  @Test func theSameListAgainChangesNothing() throws {
    let dials = router.driver.connectCount
    readdress("h:1")
    router.advance(millis: moveMillis)
    #expect(router.driver.connectCount == dials && !router.core.care.isNeeded)
  }

  /// The shards are told then that it is in force, and those that didn't serve begin to.
  @Test func aLinkIsOpenedAgainAlthoughAMapComesIntoForceMeanwhile() throws {
    let world = try ChangeFixture()
    let (key, owner) = world.stayingKey
    world.router.get(key, caller: 1)
    let call = try #require(try world.callsSent(to: owner).first)
    world.core.readdress([ShardDescription(id: ["a", "b"][owner], address: "h:2")])
    world.push(world.next, from: owner)
    try world.acceptNewcomer()
    try world.adoptAndHold([0, 1, 2])
    #expect(world.core.map.epoch == 2)
    world.router.get(key, caller: 2)
    #expect(try world.callsSent(to: owner).isEmpty, "it waits for the new address")
    try world.router.reply(call.id, from: owner)
    #expect(world.driver.addresses[owner] == "h:2")
  }
}

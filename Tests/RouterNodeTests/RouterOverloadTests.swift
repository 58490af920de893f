// What a full link does to calls: they wait, are refused only late, and nothing is lost.

import RingstoreAPI
import Testing

@testable import RouterNode

@Suite struct RouterOverloadTests {
  private func crowdedRouter() throws -> RouterFixture {
    var limits = LinkLimits()
    limits.callsInFlightMax = 2
    limits.waitNanosMax = 1_000_000_000
    let router = try RouterFixture(linkLimits: limits)
    try router.acceptAll()
    return router
  }

  @Test func callsOverTheLimitWaitAndTheirConnectionsAreNotRead() throws {
    let router = try crowdedRouter()
    let key = router.key(of: 0)
    for caller in 1...4 { router.get(key, caller: caller) }
    let first = try router.sent(to: 0).calls.map(\.id)
    #expect(first.count == 2)
    #expect(router.driver.paused == [3: 1, 4: 1])
    try router.reply(first[0], from: 0)
    #expect(try router.sent(to: 0).calls.count == 1)
    #expect(router.driver.paused == [3: 0, 4: 1])
    #expect(router.driver.outcomes[3] == nil)
  }

  @Test func aFullShardDoesNotDelayTheOthers() throws {
    let router = try crowdedRouter()
    for caller in 1...5 { router.get(router.key(of: 0), caller: caller) }
    router.get(router.key(of: 1), caller: 9)
    #expect(try router.sent(to: 1).calls.count == 1)
    #expect(router.driver.paused[9] == nil)
  }

  @Test func onlyACallThatWaitedTooLongIsRefused() throws {
    let router = try crowdedRouter()
    let key = router.key(of: 0)
    for caller in 1...3 { router.set(key, caller: caller) }
    router.advance(millis: 999)
    #expect(router.driver.outcomes.isEmpty)
    #expect(router.core.nextWakeupNanos == router.nowNanos + 1_000_000)
    router.advance(millis: 1)
    #expect(router.driver.outcomes[3]?.error?.reason == .overloaded)
    #expect(router.driver.outcomes[3]?.error?.retryDelayMillis != nil)
    #expect(router.driver.paused[3] == 0)
    #expect(router.driver.outcomes[1] == nil)
  }

  @Test func aWaitingCallThatIsCancelledIsNeverSent() throws {
    let router = try crowdedRouter()
    let key = router.key(of: 0)
    for caller in 1...2 { router.get(key, caller: caller) }
    let waiting = try #require(router.get(key, caller: 3))
    let sent = try router.sent(to: 0).calls.map(\.id)
    router.core.cancel(waiting)
    #expect(router.driver.paused[3] == 0)
    try router.reply(sent[0], from: 0)
    #expect(try router.sent(to: 0).calls.isEmpty)
    #expect(router.core.callsUnderWay == 1)
  }

  @Test func waitingWritesOfABrokenLinkDidProvablyNotHappen() throws {
    let router = try crowdedRouter()
    let key = router.key(of: 0)
    for caller in 1...3 { router.set(key, caller: caller) }
    _ = try router.sent(to: 0)
    router.lose(0)
    #expect(router.driver.outcomes[1]?.error?.reason == .outcomeUnknown)
    #expect(router.driver.outcomes[3]?.error?.reason == .shardUnavailable)
    #expect(router.driver.paused[3] == 0)
  }
}

// The small machines of a link, without one: its address, its counts, its shard's records.

import Placement
import Testing

@testable import RouterNode

@Suite struct LinkValueTests {
  // MARK: - Address

  private func next(
    _ address: LinkAddress, _ phase: LinkState.Phase, isIdle: Bool = false, isServing: Bool = true
  ) -> LinkAddress.Step {
    address.next(phase, isIdle: isIdle, isServing: isServing)
  }

  @Test func aLinkThatLeadsElsewhereClosesUnlessItIsIdle() {
    var address = LinkAddress("h:1")
    #expect(address.dial() == "h:1")
    #expect(next(address, .ready) == .nothing)
    address.change(to: "h:2")
    #expect(next(address, .ready) == .close)
    #expect(next(address, .ready, isIdle: true) == .redial)
    #expect(next(address, .connecting) == .redial && next(address, .greeting) == .redial)
    #expect(next(address, .waiting(untilNanos: 1)) == .nothing, "it will be dialed there")
    #expect(next(address, .draining) == .nothing, "it ends anyway")
    #expect(address.dial() == "h:2")
    #expect(next(address, .ready) == .nothing)
  }

  @Test func aWaitEndsWhenTheShardServesAtItsAddress() {
    var address = LinkAddress("h:1")
    _ = address.dial()
    address.change(to: "h:2")
    address.wait(untilNanos: 7)
    #expect(address.isMoving && address.dueNanos == 7 && address.overdueStep == .redial)
    _ = address.dial()
    #expect(next(address, .ready, isServing: false) == .nothing)
    #expect(next(address, .ready) == .resume && address.overdueStep == .resume)
    address.stopWaiting()
    #expect(!address.isMoving && next(address, .ready) == .nothing)
  }

  @Test func aWaitForANewShardHasNoLimit() {
    var address = LinkAddress("h:1")
    address.wait(untilNanos: .max)
    address.wait(untilNanos: 7)
    #expect(address.isMoving && address.dueNanos == nil)
  }

  // MARK: - Calls

  @Test func callsOfALostLinkHaveFailed() {
    var calls = LinkCalls()
    calls.beganReply()
    calls.beganWait()
    calls.callFailed()
    #expect(!calls.isIdle && calls.open == 2 && calls.failed == 1)
    calls.lost(onLanes: 3)
    #expect(calls.isIdle && calls.open == 0 && calls.failed == 6)
  }

  @Test func aCallThatWaitsForAValueLeavesTheLinkIdle() {
    var calls = LinkCalls()
    calls.beganWait()
    #expect(calls.isIdle && calls.open == 1)
    calls.endedWait()
    #expect(calls.open == 0 && calls.failed == 0)
  }

  // MARK: - Records

  private let old = DataLineage(high: 1, low: 2)
  private let new = DataLineage(high: 3, low: 4)

  private func records(_ lineage: DataLineage, losses: UInt64 = 0) -> LineageRecords {
    var records = LineageRecords()
    records["a"] = LineageRecord(.known(lineage), acceptedLosses: losses)
    return records
  }

  @Test func aShardLacksRecordsThatItWasNotSentAndHasNotReported() {
    var link = LinkLineages()
    #expect(link.lacks(records(old)))
    link.sent(records(old))
    #expect(!link.lacks(records(old)) && link.lacks(records(new, losses: 1)))
    link.reported(records(new, losses: 1))
    #expect(!link.lacks(records(new, losses: 1)))
    #expect(link.hasOnRecord(LineageRecord(.known(new), acceptedLosses: 1), of: "a"))
    #expect(!link.hasOnRecord(LineageRecord(.known(new), acceptedLosses: 2), of: "a"))
  }

  @Test func aShardWithOtherDataIsRefusedUntilThatIsOnRecord() throws {
    var link = LinkLineages()
    #expect(link.refused(by: records(old), shard: "a") == nil, "it has reported nothing")
    link.reported(new)
    #expect(link.refused(by: records(new), shard: "a") == nil)
    let data = try #require(link.refused(by: records(old), shard: "a"))
    link.clear()
    link.refused(data)
    #expect(link.loss?.lineage == new && link.lineage == nil)
    #expect(!link.isRecovered(by: records(old), shard: "a") && link.loss != nil)
    #expect(link.isRecovered(by: records(new, losses: 1), shard: "a") && link.loss == nil)
  }
}

// Refusals in a shard's log: once for a router and reason, and again after it was accepted.

import Testing

@testable import ShardNode

@Suite struct RefusalLogTests {
  @Test func eventsOfAllLoopsOfARouterAreReportedOnceForEachReason() {
    let log = RefusalLog()
    #expect(log.isNews(router: "r/0", reason: "WRONG_CLUSTER"))
    #expect(!log.isNews(router: "r/1", reason: "WRONG_CLUSTER"))
    #expect(log.isNews(router: "r/0", reason: "MAP_CONFLICT"))
    #expect(log.isNews(router: "s/0", reason: "WRONG_CLUSTER"))
    log.accepted(router: "r/1")
    #expect(log.isNews(router: "r/0", reason: "WRONG_CLUSTER"))
    #expect(!log.isNews(router: "s/0", reason: "WRONG_CLUSTER"))
  }

  @Test func routersWithoutEndAreBounded() {
    let log = RefusalLog()
    for number in 0..<RefusalLog.toldMax { _ = log.isNews(router: "r\(number)", reason: "X") }
    #expect(log.isNews(router: "r0", reason: "X"), "it was forgotten with the others")
    #expect(!log.isNews(router: "r0", reason: "X"))
  }
}

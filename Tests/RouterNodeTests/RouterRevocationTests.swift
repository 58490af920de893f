// Calls of users whose credentials or permissions go, as a router's core sees them. Their callers read
// nothing meanwhile, so nothing else would end these calls soon.

import Commands
import NodeCore
import ProtobufMessages
import RingstoreAPI
import Testing
import Users

@testable import RouterNode

@Suite struct RouterRevocationTests {
  private let router: RouterFixture
  private let users: Authorizer
  private let principal: Principal

  private static func table(_ keys: String, rate: Int = 1_000) throws -> UserTable {
    let text = "user anonymous\n may read\n databases all\n keys \(keys)\n rate \(rate)\n"
    return try UsersFile.parse(Array(text.utf8))
  }

  init() throws {
    router = try RouterFixture(shards: ["a"])
    try router.acceptAll()
    users = Authorizer(try Self.table("all"), AccessLedger(nowNanos: { 0 }))
    principal = try CallerIdentity(users).principal(nil)
  }

  private func replaceUsers(_ keys: String, rate: Int = 1_000) throws {
    users.replace(with: try Self.table(keys, rate: rate))
    router.core.endRevokedCalls()
  }

  @Test func aStreamThatNoOneReadsEnds() throws {
    router.driver.full = [1, 2]
    let id = try #require(
      try router.openStream("k", caller: 1, CallContext(principal, deadlineNanos: nil)))
    // Of no user.
    let other = try #require(try router.openStream("k", caller: 2))
    _ = try router.sent(to: 0, .bulk)
    try router.reply(id, from: 0, .bulk, [1], more: true)
    try replaceUsers("all", rate: 5)
    #expect(router.driver.outcomes.isEmpty, "the permissions are the same")
    try replaceUsers("prefix theirs")
    #expect(router.driver.outcomes.keys.sorted() == [1])
    #expect(router.driver.outcomes[1]?.error?.reason == .permissionDenied)
    #expect(router.driver.emitted[1] == [[1]])
    #expect(try router.sent(to: 0, .bulk).cancels == [id, id])
    // The shard has more on its way.
    try router.reply(id, from: 0, .bulk, [2], more: true)
    try router.refuse(id, from: 0, .bulk)
    try router.reply(other, from: 0, .bulk)
    #expect(router.isTidy)
  }

  @Test func aStreamThatHasNotBeenSentYetEnds() throws {
    var limits = LinkLimits()
    limits.bulkCallsInFlightMax = 1
    let router = try RouterFixture(shards: ["a"], linkLimits: limits)
    try router.acceptAll()
    let first = try #require(try router.openStream("k", caller: 1))
    _ = try router.openStream("k", caller: 2, CallContext(principal, deadlineNanos: nil))
    users.replace(with: UserTable())
    router.core.endRevokedCalls()
    #expect(router.driver.outcomes[2]?.error?.reason == .unauthenticated)
    try router.reply(first, from: 0, .bulk)
    #expect(router.isTidy)
  }

  @Test func aScanThatNoOneReadsEnds() throws {
    router.driver.full = [1]
    _ = try #require(try router.start(.scan, Ringstore_V1_ScanRequest(), caller: 1, principal))
    try replaceUsers("all", rate: 5)
    #expect(router.driver.outcomes.isEmpty)
    try replaceUsers("prefix theirs")
    #expect(router.driver.outcomes[1]?.error?.reason == .permissionDenied)
    #expect(router.core.operationsUnderWay == 0)
  }

  @Test func aLargeReplyThatIsOneMessageIsCompleted() throws {
    router.driver.full = [1]
    var request = Ringstore_V1_Key()
    request.key = .init("k".utf8)
    let id = try #require(router.submit(.get, request, caller: 1, principal))
    _ = try router.sent(to: 0)
    try router.announce(id, from: 0, bytes: 3)
    try replaceUsers("prefix theirs")
    router.driver.full = []
    router.core.callerWritable(id)
    try router.reply(id, from: 0, .bulk, [1, 2, 3])
    #expect(router.driver.outcomes[1] == .replied([1, 2, 3]))
    #expect(router.isTidy)
  }
}

// Links that can't be used for long: what is told of them, how often, and that the router says so
// when it is asked how it does.

import GRPC
import NodeCore
import ProtobufMessages
import RingstoreAPI
import Testing

@testable import RouterNode

@Suite struct LinkTroubleTests {
  private func refuse(_ router: RouterFixture, _ reason: LinkRefusal, by shard: Int = 0) throws {
    let generation = try #require(router.driver.connections[shard])
    router.core.linkConnected(shard: shard, lane: .calls, generation: generation)
    _ = try router.sent(to: shard)
    var reply = Ringstore_Internal_V1_ShardFrame()
    reply.hello.refusal = reason.rawValue
    try router.receive(reply, from: shard)
    router.advance(millis: 2_000)
  }

  private func lose(_ router: RouterFixture, _ reason: String) throws {
    let generation = try #require(router.driver.connections[0])
    router.core.linkLost(shard: 0, lane: .calls, generation: generation, reason: reason)
    router.advance(millis: 2_000)
  }

  @Test func aReasonIsLoggedOnceAndAgainAfterTheLinkWasReady() throws {
    let router = try RouterFixture(shards: ["a"])
    for _ in 0..<5 { try refuse(router, .wrongCluster) }
    #expect(router.driver.events.count == 1)
    // Reasons that come in turns are no news either.
    for _ in 0..<5 {
      try lose(router, "connect failed: connection refused")
      try refuse(router, .wrongCluster)
    }
    #expect(router.driver.events.count == 2)
    try router.acceptAll()
    try refuseAgain(router)
    #expect(router.driver.events.count == 5, "ready, lost, refused")
  }

  private func refuseAgain(_ router: RouterFixture) throws {
    try lose(router, "connection reset")
    try refuse(router, .wrongCluster)
  }

  @Test func reasonsWithoutEndAreBounded() throws {
    let router = try RouterFixture(shards: ["a"])
    for number in 0..<100 { try lose(router, "reason \(number)") }
    #expect(router.driver.events.count == 16)
  }

  @Test(arguments: LinkRefusal.allCases)
  func aRefusalsSentenceSaysWhatToDo(_ refusal: LinkRefusal) throws {
    let router = try RouterFixture(shards: ["a"])
    try refuse(router, refusal)
    guard case .linkRefused("a", let reason, let advice) = router.driver.events.first else {
      Issue.record("told: \(router.driver.events)")
      return
    }
    #expect(reason == refusal.rawValue && !advice.isEmpty)
    router.get("k", caller: 1)
    let message = try #require(router.driver.outcomes[1]?.error?.message)
    #expect(message.contains(refusal.rawValue))
    if refusal == .wrongCluster { #expect(message.contains("the same `cluster`")) }
  }

  @Test func anotherServerThanAShardIsCalledByItsName() {
    let ending = LinkEnding(.unimplemented, status: "UNIMPLEMENTED", address: "h:1")
    #expect(ending.reason.contains("h:1") && ending.reason.contains("perhaps a router"))
    #expect(ending.refusal == nil)
    #expect(LinkEnding(.unavailable, status: "x", address: "h:1") == LinkEnding("x"))
  }

  @Test(arguments: [StatusCode.unauthenticated, .permissionDenied])
  func aShardThatDoesNotAdmitTheRouterRefusesItAndAllCredentialsAreNamed(
    _ code: StatusCode
  ) {
    let ending = LinkEnding(code, status: "x", address: "h:1")
    #expect(ending.refusal == .unauthenticated)
    for word in ["h:1", "`shard_token_file`", "`shard_tls_certificate`"] {
      #expect(ending.reason.contains(word))
    }
  }

  @Test func whatAShardRefusesForIsKnownUntilItIsReachedOrLostOtherwise() throws {
    func refusals(_ router: RouterFixture) -> [LinkRefusal?] {
      router.core.linkRefusals.map(\.refusal)
    }
    let router = try RouterFixture()
    #expect(refusals(router) == [nil, nil])
    try refuse(router, .mapConflict)
    #expect(refusals(router) == [.mapConflict, nil], "also while it is asked again")
    try refuse(router, .loading)
    #expect(refusals(router) == [.loading, nil])
    try lose(router, "connection refused")
    #expect(refusals(router) == [nil, nil])
    try refuse(router, .dataLost)
    #expect(refusals(router) == [.dataLost, nil])
    try router.accept(0)
    #expect(refusals(router) == [nil, nil])
  }

  // MARK: - How the router does

  @Test func aRouterServesAsSoonAsItReachesOneShard() throws {
    let router = try RouterFixture()
    let reason = try #require(router.core.notServingReason)
    #expect(reason.contains("no shard can be reached") && reason.contains("a: "))
    try router.accept(0)
    #expect(router.core.notServingReason == nil)
    router.lose(0)
    #expect(router.core.notServingReason?.contains("connection reset") == true)
  }

  @Test func aRouterWhoseMapWasRefusedDoesNotServeWhateverLinksItHas() throws {
    let router = try RouterFixture()
    try router.accept(0)
    try refuse(router, .mapConflict, by: 1)
    let reason = try #require(router.core.notServingReason)
    #expect(reason.contains("shard b") && reason.contains("the same shards"))
    try router.accept(1)
    router.advance(millis: 2_000)
    try router.accept(0)
    try router.hold([0, 1])
    #expect(router.core.notServingReason == nil)
  }

  @Test func aRouterServesNothingByAListThatNotEveryShardHasAdopted() throws {
    let router = try RouterFixture()
    try router.accept(0, inForce: false)
    router.lose(1)
    let reason = try #require(router.core.notServingReason)
    #expect(reason.contains("every shard") && reason.contains("b has not (connection reset)"))
    router.get(router.key(of: 0), caller: 1)
    let error = try #require(router.driver.outcomes[1]?.error)
    #expect(error.reason == .shardUnavailable && error.message.contains("b has not"))
    #expect(router.core.haveLinksBeenTried, "clients are told so")
    router.advance(millis: 1_000)
    try router.accept(1, inForce: false)
    #expect(router.core.notServingReason != nil, "they are asked again")
    try router.hold([0, 1])
    #expect(router.core.notServingReason == nil)
  }
}

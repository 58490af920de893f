// How old a server lets connections become, and how it ends those that are.

import HTTP2
import NIOCore
import Testing

@testable import GRPC

@Suite struct ConnectionAgeTests {
  private static let second: UInt64 = 1_000_000_000

  /// A server whose connections may become `seconds` old; the chance is in the middle, so exactly.
  private func aged(
    _ seconds: UInt64, grace: UInt64 = 30, chance: UInt64? = nil
  ) throws -> ServerHarness {
    var configuration = ServerConfiguration()
    configuration.keepaliveNanos = 0
    configuration.idleNanosMax = 0
    configuration.ageNanosMax = seconds * Self.second
    configuration.ageGraceNanos = grace * Self.second
    let chance = chance ?? seconds * Self.second / 10
    return try ServerHarness(configuration, limits: ConnectionLimits(), chance: { chance })
  }

  private func goAways(_ harness: ServerHarness) -> [HTTP2ConnectionEvent] {
    harness.clientEvents.filter { if case .goAway = $0 { true } else { false } }
  }

  private func count(_ harness: ServerHarness, _ reason: ConnectionEnd) -> Int {
    harness.loop.connections.count(of: reason)
  }

  /// Lets so much time pass, second by second, with a client that replies.
  private func pass(_ seconds: Int, _ harness: ServerHarness) throws {
    for _ in 0..<seconds {
      harness.eventLoop.advanceTime(by: .seconds(1))
      try harness.pump()
    }
  }

  @Test func anOldConnectionGetsAGoAwayAndEnds() throws {
    let harness = try aged(100)
    try pass(98, harness)
    #expect(try harness.call(body: ConnectionRulesTests.hello).status == "0")
    #expect(goAways(harness).isEmpty)
    try pass(8, harness)
    // (A client without calls leaves at the first word.)
    #expect(goAways(harness).first == .goAway(lastStreamID: .max, code: .noError, debug: ""))
    #expect(!harness.channel.isActive)
    #expect(count(harness, .maxAge) == 1)
    #expect(count(harness, .maxAgeGrace) == 0)
    #expect(harness.loop.connections.open == 0)
  }

  @Test func callsUnderWayFinishWithinTheGrace() throws {
    let harness = try aged(100, grace: 50)
    var waiting: ServerCall?
    harness.service.onUnary = { call, _ in waiting = call }
    try harness.call(body: ConnectionRulesTests.hello)
    try pass(140, harness)
    // The highest id first, so that no call on its way is lost; after a round trip the real one.
    #expect(
      goAways(harness) == [
        .goAway(lastStreamID: .max, code: .noError, debug: ""),
        .goAway(lastStreamID: 1, code: .noError, debug: ""),
      ])
    #expect(harness.channel.isActive)
    try #require(waiting).respond { $0.writeString("done") }
    try harness.pump()
    #expect(harness.seen[1]?.status == "0")
    #expect(!harness.channel.isActive)
    #expect(count(harness, .maxAgeGrace) == 0)
  }

  @Test func callsStillInProgressAreThenCutOffCountedAndReported() throws {
    let harness = try aged(100, grace: 20)
    _ = harness.open(ScriptedService.streamPath)
    try pass(118, harness)
    #expect(harness.channel.isActive)
    try pass(15, harness)
    #expect(!harness.channel.isActive)
    #expect(
      goAways(harness).last
        == .goAway(lastStreamID: 1, code: .noError, debug: "max_age_grace"))
    #expect(harness.service.events.contains("ended cancelled"))
    #expect(count(harness, .maxAge) == 1)
    #expect(count(harness, .maxAgeGrace) == 1)
  }

  @Test func theAgesOfConnectionsLieWithinATenthOfTheLimitOnBothSides() throws {
    let (tenth, limit) = (10 * Self.second, 100 * Self.second)
    var ages: Set<UInt64> = []
    for chance in stride(from: UInt64(0), through: .max - .max / 200, by: .max / 200) {
      var age = ConnectionAge(maxNanos: limit, graceNanos: 1, openedNanos: 7, chance: chance)
      var due = 7 + limit - tenth
      guard case .nothing = age.look(nowNanos: due - 1) else {
        Issue.record("too early with \(chance)")
        return
      }
      while case .nothing = age.look(nowNanos: due) { due += Self.second / 10 }
      #expect(due <= 7 + limit + tenth + Self.second / 10)
      ages.insert(due)
    }
    #expect(ages.count > 50, "they are spread")
  }

  @Test func connectionsThatCameTogetherDoNotAllGoTogether() throws {
    let first = try aged(100, chance: 0)
    let last = try aged(100, chance: 20 * Self.second)
    try pass(97, first)
    try pass(97, last)
    #expect(!first.channel.isActive)
    #expect(last.channel.isActive)
  }

  @Test func theLeastAndTheGreatestLimitsTrapNowhere() {
    for (age, grace) in [(UInt64(0), UInt64(0)), (1, 0), (.max, .max)] {
      for chance in [UInt64(0), 1, .max] {
        var age = ConnectionAge(
          maxNanos: age, graceNanos: grace, openedNanos: .max, chance: chance)
        for now in [UInt64(0), 1, .max] { _ = age.look(nowNanos: now) }
      }
    }
  }

  @Test func withoutALimitAConnectionMayBeAsOldAsItLikes() throws {
    let harness = try aged(0)
    try pass(10, harness)
    harness.eventLoop.advanceTime(by: .hours(10_000))
    try harness.pump()
    #expect(harness.channel.isActive)
  }

  @Test func aLinkOfARouterStays() throws {
    let harness = try aged(100)
    harness.service.onUnary = { call, message in
      call.connection?.becomeLink()
      call.respond { $0.writeBytes(message) }
    }
    try harness.call(ScriptedService.adminPath, body: ConnectionRulesTests.hello)
    try pass(150, harness)
    #expect(harness.channel.isActive)
    #expect(goAways(harness).isEmpty)
  }

  @Test func aDrainOfTheNodeHasItsOwnTime() throws {
    let harness = try aged(100, grace: 1)
    _ = harness.open(ScriptedService.streamPath)
    try pass(90, harness)
    harness.handler.beginDrain()
    try pass(60, harness)
    #expect(harness.channel.isActive, "the age cut a connection that was leaving already")
    #expect(count(harness, .maxAge) == 0)
  }
}

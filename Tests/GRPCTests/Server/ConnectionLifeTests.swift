// How long a server keeps a connection: clients that fall silent, connections without calls, and
// connections above the node's bounds.

import HTTP2
import NIOCore
import Testing

@testable import GRPC

@Suite struct ConnectionLifeTests {
  private static let second: UInt64 = 1_000_000_000

  private func goAways(_ harness: ServerHarness) -> [String] {
    harness.clientEvents.compactMap { event in
      guard case .goAway(_, let code, let debug) = event else { return nil }
      return "\(code) \(debug)"
    }
  }

  private func count(_ harness: ServerHarness, _ reason: ConnectionEnd) -> Int {
    harness.loop.connections.count(of: reason)
  }

  // MARK: - Silent clients

  @Test func aClientThatVanishedGetsAPingAndIsCutWithoutAReply() throws {
    var configuration = ServerConfiguration()
    configuration.keepaliveNanos = 60 * Self.second
    configuration.keepaliveTimeoutNanos = 20 * Self.second
    let harness = try ServerHarness(configuration)
    try harness.pump()
    // From here on it says nothing.
    harness.eventLoop.advanceTime(by: .seconds(79))
    #expect(harness.channel.isActive)
    harness.eventLoop.advanceTime(by: .seconds(11))
    #expect(!harness.channel.isActive)
    #expect(count(harness, .keepaliveTimeout) == 1)
  }

  @Test func aClientThatIsOnlyIdleRepliesAndStays() throws {
    var configuration = ServerConfiguration()
    configuration.keepaliveNanos = 10 * Self.second
    configuration.keepaliveTimeoutNanos = 5 * Self.second
    configuration.idleNanosMax = 0
    let harness = try ServerHarness(configuration)
    for _ in 0..<200 {
      try harness.pump()
      harness.eventLoop.advanceTime(by: .seconds(1))
    }
    try harness.pump()
    #expect(harness.channel.isActive)
    let pings = harness.clientEvents.filter { $0 == .pingReceived }.count
    #expect((10...20).contains(pings))
  }

  @Test func keepAliveCanBeOff() throws {
    var configuration = ServerConfiguration()
    configuration.keepaliveNanos = 0
    configuration.idleNanosMax = 0
    let harness = try ServerHarness(configuration)
    try harness.pump()
    harness.eventLoop.advanceTime(by: .hours(10))
    try harness.pump()
    #expect(harness.channel.isActive)
    #expect(!harness.clientEvents.contains(.pingReceived))
  }

  // MARK: - Idle connections

  @Test func aConnectionWithoutCallsIsDrainedInTheEnd() throws {
    var configuration = ServerConfiguration()
    configuration.keepaliveNanos = 0
    configuration.idleNanosMax = 100 * Self.second
    let harness = try ServerHarness(configuration)
    for _ in 0..<20 {
      #expect(try harness.call(body: ConnectionRulesTests.hello).status == "0")
      harness.eventLoop.advanceTime(by: .seconds(90))
    }
    #expect(harness.channel.isActive)
    harness.eventLoop.advanceTime(by: .seconds(20))
    try harness.pump()
    #expect(goAways(harness).allSatisfy { $0.hasPrefix("\(HTTP2ErrorCode.noError)") })
    #expect(!goAways(harness).isEmpty)
    #expect(!harness.channel.isActive)
    #expect(count(harness, .idle) == 1)
  }

  @Test func aCallThatIsOpenKeepsItsConnection() throws {
    var configuration = ServerConfiguration()
    configuration.keepaliveNanos = 0
    configuration.idleNanosMax = 100 * Self.second
    let harness = try ServerHarness(configuration)
    _ = harness.open(ScriptedService.streamPath)
    try harness.pump()
    harness.eventLoop.advanceTime(by: .seconds(1_000))
    try harness.pump()
    #expect(harness.channel.isActive)
  }

  // MARK: - PINGs

  @Test func howOftenClientsMayPingIsASetting() throws {
    var configuration = ServerConfiguration()
    configuration.minPingIntervalNanos = 10 * Self.second
    configuration.minIdlePingIntervalNanos = Self.second
    let harness = try ServerHarness(configuration)
    for _ in 0..<50 {
      harness.eventLoop.advanceTime(by: .milliseconds(1_001))
      harness.client.ping(payload: 1)
      try harness.pump()
    }
    #expect(harness.channel.isActive)
    _ = harness.open(ScriptedService.streamPath)
    for _ in 0..<5 where harness.channel.isActive {
      harness.eventLoop.advanceTime(by: .milliseconds(1_001))
      harness.client.ping(payload: 1)
      try harness.pump()
    }
    #expect(goAways(harness).first == "\(HTTP2ErrorCode.enhanceYourCalm) too_many_pings")
  }

  // MARK: - Above the bounds

  private func excess() throws -> ServerHarness {
    var limits = ConnectionLimits()
    limits.maxConnections = 0
    let harness = try ServerHarness(limits: limits)
    try harness.pump()
    return harness
  }

  @Test func aCallOnAConnectionThatIsOneTooManyIsRefusedAndTheConnectionEnds()
    throws
  {
    let harness = try excess()
    let reply = try harness.call(body: ConnectionRulesTests.hello)
    #expect(reply.status == "8")
    #expect(reply.message == "too_many_connections: The node has 0 connections already.")
    #expect(goAways(harness) == ["\(HTTP2ErrorCode.enhanceYourCalm) too_many_connections"])
    #expect(harness.service.events.isEmpty)
    #expect(!harness.channel.isActive)
    #expect(count(harness, .tooManyConnections) == 1)
    #expect(harness.loop.connections.open == 0)
  }

  @Test func oneThatSaysNothingIsRefusedAsWell() throws {
    let harness = try excess()
    harness.eventLoop.advanceTime(by: .seconds(3))
    try harness.pump()
    #expect(goAways(harness).contains("\(HTTP2ErrorCode.enhanceYourCalm) too_many_connections"))
    #expect(!harness.channel.isActive)
  }

  @Test func administrationIsServedThereForAWhile() throws {
    let harness = try excess()
    #expect(
      try harness.call(ScriptedService.adminPath, body: ConnectionRulesTests.hello).status == "0")
    #expect(harness.channel.isActive)
    harness.eventLoop.advanceTime(by: .seconds(11))
    try harness.pump()
    #expect(!harness.channel.isActive)
  }

  @Test func aLinkStaysAndTakesNoClientsPlace() throws {
    let harness = try excess()
    harness.service.onUnary = { call, message in
      call.connection?.becomeLink()
      call.respond { $0.writeBytes(message) }
    }
    _ = try harness.call(ScriptedService.adminPath, body: ConnectionRulesTests.hello)
    for _ in 0..<20 {
      harness.eventLoop.advanceTime(by: .seconds(2))
      try harness.pump()
    }
    #expect(harness.channel.isActive)
    #expect(try harness.call(body: ConnectionRulesTests.hello).status == "0")
    #expect(harness.loop.connections.entries(prefix: "")["connections_links"] == 1)
  }

  @Test func resetsAndRefusedCallsAreCounted() throws {
    let harness = try ServerHarness()
    let stream = try #require(harness.open(ScriptedService.streamPath))
    try harness.pump()
    harness.client.reset(stream, code: .cancel)
    try harness.call("/nowhere", body: ConnectionRulesTests.hello)
    let entries = harness.loop.connections.entries(prefix: "")
    #expect(entries["resets_total"] == 1)
    #expect(entries["refused_calls_total"] == 1)
  }
}

// How long what a router sends is good for: frames that were held on their way, deadlines that have
// passed, routers that are gone.

import Commands
import GRPC
import NIOCore
import NodeCore
import RingstoreAPI
import SwiftProtobuf
import Testing

@testable import ShardNode

@Suite struct LinkClockTests {
  private let shard = ShardFixture(limits: .wide)
  private static let ageMillisMax = LinkProtocol.callAgeMillisMax

  private func pass(millis: UInt64) {
    shard.clock.nowNanos += millis * 1_000_000
  }

  private func value(_ key: String) throws -> String {
    String(decoding: try shard.get(key).value, as: UTF8.self)
  }

  /// A slice that removes every key.
  private func reset(_ id: UInt64, deadlineMillis: UInt64 = 0, into frame: inout RouterFrame) {
    var part = LinkV1.ResetPartRequest()
    part.maxVisits = 1_000
    var request = ByteBuffer()
    part.write(into: &request)
    request.withUnsafeReadableBytes {
      frame.bytes.writeCall(
        .link, id: id, method: InternalMethod.resetPart.rawValue, request: $0,
        timeMillis: deadlineMillis)
    }
  }

  // MARK: - Age

  @Test func aRouterGetsTheClockWithEachReplyToAHelloAndAtEachCheck() throws {
    let link = try Link(to: shard)
    #expect(link.calls.clocks == [1] && link.bulk.clocks == [1])
    pass(millis: 500)
    shard.core.watchLinks()
    #expect(link.calls.clocks == [1, 501] && link.bulk.clocks == [1])
  }

  @Test(arguments: LinkLane.allCases)
  func whatWasHeldForTooLongIsNotExecuted(_ lane: LinkLane) throws {
    let link = try Link(to: shard)
    let connection = lane == .calls ? link.calls : link.bulk
    try shard.set("k", "0")
    connection.heardMillis = shard.core.clockMillis
    pass(millis: Self.ageMillisMax)
    connection.give { $0.call(1, .incrBy, Requests.increment("k", by: 1)) }
    #expect(connection.take().map(\.code) == [0])
    pass(millis: 1)
    let after = connection.give { frame in
      frame.call(2, .incrBy, Requests.increment("k", by: 1))
      frame.call(3, .get, Requests.key("k"))
    }
    let replies = connection.take()
    #expect(after == .proceed && replies.map(\.id) == [2, 3])
    for reply in replies {
      let error = CallError(
        code: StatusCode(rawValue: reply.code) ?? .unknown, message: reply.message,
        details: Array(reply.details))
      #expect(error.reason == .shardUnavailable && error.message.contains("not executed"))
    }
    #expect(try value("k") == "1")
    // The next frame names what was heard since.
    connection.heardMillis = nil
    connection.give { $0.call(4, .incrBy, Requests.increment("k", by: 1)) }
    #expect(try value("k") == "2")
  }

  @Test func callsThatWaitUntilTheirRouterTakesRepliesGrowOldAsWell() throws {
    try shard.set("large", pattern(LinkProtocol.frameBytes))
    let link = try Link(to: shard)
    link.calls.framesUntilFull = 1
    link.calls.give { frame in
      // Below what goes in pieces, and past what a frame holds.
      for id in 1...200 { frame.call(UInt64(id), .get, Requests.key("small")) }
      for id in 201...210 { frame.call(UInt64(id), .set, Requests.set("small", pattern(60_000))) }
      for id in 211...220 { frame.call(UInt64(id), .get, Requests.key("small")) }
      frame.call(221, .set, Requests.set("late", "v"))
    }
    #expect(!link.calls.isWritable)
    let before = link.calls.take().count
    #expect(before < 221)
    pass(millis: Self.ageMillisMax + 1)
    link.calls.framesUntilFull = nil
    link.calls.drained()
    #expect(link.calls.take().count == 221 - before)
    #expect(try !shard.get("late").found)
  }

  @Test func aSliceGrowsOldWhileItWaitsForItsTurn() throws {
    try shard.set("k", "v")
    let link = try Link(to: shard)
    link.calls.give { reset(1, into: &$0) }
    pass(millis: Self.ageMillisMax + 1)
    shard.runTurns()
    #expect(link.calls.take().map(\.code) == [StatusCode.unavailable.rawValue])
    #expect(try shard.get("k").found)
  }

  @Test func callsWithoutTheShardsClockEndTheConnection() throws {
    let link = try Link(to: shard)
    link.calls.heardMillis = 0
    guard
      case .end(.invalidArgument, _) = link.calls.give({
        $0.call(1, .set, Requests.set("k", "v"))
      })
    else {
      Issue.record("a frame that names no clock was taken")
      return
    }
    #expect(try !shard.get("k").found)
  }

  // MARK: - Deadlines

  @Test func aCallWhoseDeadlineHasPassedIsNotExecuted() throws {
    let link = try Link(to: shard)
    let now = shard.core.clockMillis
    pass(millis: 10)
    link.calls.give { frame in
      frame.call(1, .set, Requests.set("late", "v"), deadlineMillis: now + 9)
      frame.call(2, .set, Requests.set("early", "v"), deadlineMillis: now + 10)
    }
    #expect(link.calls.take().map(\.code) == [StatusCode.deadlineExceeded.rawValue, 0])
    #expect(try !shard.get("late").found && shard.get("early").found)
  }

  @Test func theDeadlineOfASliceMayPassWhileItWaitsForItsTurn() throws {
    try shard.set("k", "v")
    let link = try Link(to: shard)
    link.calls.give { reset(1, deadlineMillis: shard.core.clockMillis + 5, into: &$0) }
    pass(millis: 6)
    shard.runTurns()
    #expect(link.calls.take().map(\.code) == [StatusCode.deadlineExceeded.rawValue])
    #expect(try shard.get("k").found)
  }

  // MARK: - Keep-alive

  private func look(_ times: Int) {
    for _ in 0..<times {
      pass(millis: LinkProtocol.clockIntervalNanos / 1_000_000)
      shard.core.watchLinks()
    }
  }

  @Test(arguments: LinkLane.allCases)
  func aLinkIsClosedWhenOneOfItsLanesIsSilentAndExecutesNothingMore(
    _ silent: LinkLane
  ) throws {
    let link = try Link(to: shard)
    let other = silent == .calls ? link.bulk : link.calls
    for _ in 0..<LinkProtocol.silentLooksMax {
      #expect(link.calls.closedBecause == nil)
      other.give { _ in }
      look(1)
    }
    other.give { _ in }
    look(1)
    #expect(link.calls.closedBecause != nil && link.bulk.closedBecause != nil)
    for lane in [link.calls, link.bulk] {
      lane.give { $0.call(1, .set, Requests.set("k", "v")) }
      #expect(lane.take().isEmpty)
    }
    #expect(try !shard.get("k").found)
  }

  @Test func aRouterThatLivesKeepsItsLink() throws {
    let link = try Link(to: shard)
    for _ in 0..<3 {
      look(LinkProtocol.silentLooksMax - 1)
      link.calls.give { _ in }
      link.bulk.give { _ in }
    }
    #expect(link.calls.closedBecause == nil)
    #expect(link.call(1, .set, Requests.set("k", "v")).map(\.code) == [0])
  }

  /// A shard that was stopped has not looked; what its routers sent lies in its sockets.
  @Test func timeAloneClosesNoLink() throws {
    let link = try Link(to: shard)
    look(LinkProtocol.silentLooksMax - 1)
    pass(millis: 3_600_000)
    look(1)
    #expect(link.calls.closedBecause == nil)
    link.calls.give { _ in }
    link.bulk.give { _ in }
    look(2)
    #expect(link.calls.closedBecause == nil)
  }

  @Test func anEmptyShardWhoseRouterIsGoneTakesAnyMap() throws {
    let gone = try Link(to: shard)
    var other = try Link.hello(router: "r/1")
    other.map = try Maps.of(["a", "b"]).message
    let refused = Lane(.calls, shard.core)
    _ = try refused.greet(other)
    #expect(refused.hello?.refusal == "MAP_CONFLICT")
    look(LinkProtocol.silentLooksMax + 1)
    #expect(gone.calls.closedBecause != nil)
    look(LinkProtocol.silentLooksMax)
    let accepted = Lane(.calls, shard.core)
    _ = try accepted.greet(other)
    #expect(accepted.hello?.accepted == true)
  }

  /// Else a router with another map could store keys here before any shard that holds keys by the
  /// first map has refused it.
  @Test func anEmptyShardKeepsItsMapWhileItsRouterMayOnlyHaveLostConnections() throws {
    let lost = try Link(to: shard)
    lost.calls.session?.lost()
    lost.bulk.session?.lost()
    var other = try Link.hello(router: "r/1")
    other.map = try Maps.of(["a", "b"]).message
    look(LinkProtocol.silentLooksMax - 1)
    let refused = Lane(.calls, shard.core)
    _ = try refused.greet(other)
    #expect(refused.hello?.refusal == "MAP_CONFLICT")
    look(1)
    let accepted = Lane(.calls, shard.core)
    _ = try accepted.greet(other)
    #expect(accepted.hello?.accepted == true)
  }
}

// Long work takes turns: slices, streams, memory to be freed; and each can be cancelled.

import Commands
import GRPC
import NIOCore
import NodeCore
import ProtobufMessages
import RingstoreAPI
import SwiftProtobuf
import Testing

@testable import ShardNode

@Suite struct TurnTests {
  let shard = ShardFixture(limits: .wide)

  @Test func aSliceDoesNotDelayTheCallsBehindIt() throws {
    try fill(1_000)
    let link = try Link(to: shard)
    link.calls.give { frame in
      frame.keysPart(1)
      frame.call(2, .get, Requests.key("key:1"))
    }
    #expect(link.calls.take().map(\.id) == [2])
    #expect(shard.runTurns() == 1)
    #expect(link.calls.take().map(\.id) == [1])
  }

  @Test func linksAndStreamsTakeTheirTurnsRoundRobin() throws {
    try fill(1_000)
    try shard.set("large", pattern(300_000))
    let first = try Link(to: shard, router: "r/0")
    let second = try Link(to: shard, router: "r/1")
    let third = try Link(to: shard, router: "r/2")
    first.bulk.give { frame in
      for id in 1...3 { frame.keysPart(UInt64(id)) }
    }
    second.bulk.give { frame in
      for id in 1...3 { frame.keysPart(UInt64(id)) }
    }
    _ = third.call(9, .get, Requests.key("large"))
    third.grant(9, 1 << 20)
    for _ in 0..<3 {
      for _ in 0..<3 { shard.core.runTurn() }
      #expect(first.bulk.take().count == 1)
      #expect(second.bulk.take().count == 1)
      #expect(third.bulk.take().count == 1)
    }
  }

  @Test func aSliceThatIsCancelledIsNotExecuted() throws {
    try fill(100)
    let link = try Link(to: shard)
    var reset = LinkV1.ResetPartRequest()
    reset.maxVisits = 1_000
    var request = ByteBuffer()
    reset.write(into: &request)
    link.calls.give { frame in
      frame.keysPart(1)
      request.withUnsafeReadableBytes {
        frame.bytes.writeCall(
          .link, id: 2, method: InternalMethod.resetPart.rawValue, request: $0)
      }
    }
    link.calls.give { $0.bytes.append(LinkV1.RouterFrame.Field.cancels, 2) }
    let cancelled = StatusCode.cancelled.rawValue
    #expect(link.calls.take().map { [$0.id, UInt64($0.code)] } == [[2, UInt64(cancelled)]])
    shard.runTurns()
    #expect(link.calls.take().map(\.id) == [1])
    #expect(shard.core.store.totalKeyCount == 100)
  }

  @Test func slicesWaitForAConnectionThatIsFull() throws {
    try fill(100)
    let link = try Link(to: shard)
    link.bulk.isWritable = false
    link.bulk.give { frame in
      for id in 1...3 { frame.keysPart(UInt64(id)) }
    }
    shard.runTurns()
    #expect(link.bulk.take().isEmpty)
    link.bulk.drained()
    shard.runTurns()
    #expect(link.bulk.take().map(\.id) == [1, 2, 3])
  }

  @Test func aLostConnectionTakesItsSlicesAlong() throws {
    try fill(100)
    let link = try Link(to: shard)
    link.calls.give { $0.keysPart(1) }
    link.bulk.give { $0.keysPart(2) }
    link.bulk.session?.lost()
    shard.runTurns()
    #expect(link.calls.take().isEmpty && link.bulk.take().isEmpty)
  }

  @Test func slicesThatWaitAreBounded() throws {
    let link = try Link(to: shard)
    link.bulk.isWritable = false
    for first in stride(from: 0, to: SliceQueue.slicesMax, by: 1_024) {
      link.bulk.give { frame in
        for id in first..<first + 1_024 { frame.keysPart(UInt64(id)) }
      }
    }
    #expect(link.bulk.take().isEmpty)
    link.bulk.give { $0.keysPart(1 << 20) }
    #expect(link.bulk.take().map(\.code) == [StatusCode.resourceExhausted.rawValue])
  }

  @Test func aLongListIsFreedInTurns() throws {
    let value = String(repeating: "x", count: 12_000)
    for _ in 0..<30 {
      let _: Ringstore_V1_Status = try shard.call(
        .rPush, Requests.push("l", Array(repeating: value, count: 200)))
    }
    let held = shard.core.store.usedBytes
    let _: Ringstore_V1_Status = try shard.call(.delete, Requests.key("l"))
    #expect(shard.core.hasTurns)
    #expect(shard.core.store.usedBytes > held / 2, "it was freed at once")
    let turns = shard.runTurns()
    #expect(turns > 1)
    #expect(shard.core.store.usedBytes < held / 100)
  }

  // MARK: - Views

  @Test func theOldestViewsExpireBeyondTheBoundOfBytes() throws {
    var limits = Limits.wide
    limits.maxPinnedBytes = 500_000
    let shard = ShardFixture(limits: limits)
    let link = try Link(to: shard)
    for id in 1...6 {
      try shard.set("k\(id)", pattern(150_000))
      link.calls.give { frame in
        frame.call(UInt64(id), .get, Requests.key("k\(id)"))
        frame.call(UInt64(id) + 10, .delete, Requests.key("k\(id)"))
      }
    }
    let expired = link.calls.take().filter { $0.code != 0 }
    #expect(expired.map(\.id) == [1, 2, 3])
    #expect(expired.allSatisfy { $0.code == StatusCode.aborted.rawValue && !$0.more })
    #expect(shard.core.store.pinnedBytes <= 500_000)
    link.grant(6, 1 << 20)
    shard.runTurns()
    #expect(link.bulk.take().last?.more == false)
  }

  @Test func aPopWhoseElementExpiresIsNotCalledUndone() throws {
    let _: Ringstore_V1_Status = try shard.call(.rPush, Requests.push("l", [pattern(100_000)]))
    let link = try Link(to: shard)
    _ = link.call(1, .lPop, Requests.key("l"))
    shard.clock.nowNanos += shard.core.limits.viewNanosMax
    shard.core.endExpired()
    let reply = try #require(link.calls.take().first)
    #expect(reply.code == StatusCode.unavailable.rawValue)
    let error = reply.details.withUnsafeBytes {
      CallError(code: .unavailable, message: reply.message, details: $0)
    }
    #expect(error.reason == .outcomeUnknown && error.doNotRetry)
  }

  @Test func aViewExpiresInTime() throws {
    try shard.set("k", pattern(150_000))
    let link = try Link(to: shard)
    #expect(shard.core.dueNanos == nil)
    _ = link.call(1, .get, Requests.key("k"))
    let due = try #require(shard.core.dueNanos)
    #expect(due == shard.clock.nowNanos + shard.core.limits.viewNanosMax)
    shard.clock.nowNanos = due - 1
    shard.core.endExpired()
    #expect(link.calls.take().isEmpty)
    _ = link.call(2, .get, Requests.key("k"))
    shard.clock.nowNanos = due
    shard.core.endExpired()
    let ended = try #require(link.calls.take().first)
    #expect(ended.id == 1 && ended.code == StatusCode.aborted.rawValue)
    #expect(shard.core.holdsViews, "the younger view stays")
  }

  private func fill(_ count: Int) throws {
    for number in 0..<count { try shard.set("key:\(number)", "v") }
  }
}

// Whether a call may run now: asked once, before execution, whichever way it has come.

import Commands
import GRPC
import NIOCore
import NodeCore
import ProtobufMessages
import RingstoreAPI
import SwiftProtobuf
import Testing

@testable import ShardNode

@Suite struct AdmissionTests {
  let shard = ShardFixture()

  private func refusal(
    _ method: UInt32, _ request: some Message, _ context: CallContext
  ) throws -> CallError? {
    let bytes: [UInt8] = try request.serializedBytes()
    var response = ByteBuffer()
    do {
      _ = try bytes.withUnsafeBytes {
        try shard.core.execute(method, $0, into: &response, context)
      }
      return nil
    } catch {
      #expect(response.readableBytes == 0)
      return error as? CallError
    }
  }

  @Test func aCallIsNotExecutedFromItsDeadlineOn() throws {
    let set = UInt32(CommandID.set.rawValue)
    let early = CallContext(deadlineNanos: 2_000, nowNanos: 1_999, wallMillis: 1)
    #expect(try refusal(set, Requests.set("early", "v"), early) == nil)
    let late = CallContext(deadlineNanos: 2_000, nowNanos: 2_000, wallMillis: 1)
    #expect(try refusal(set, Requests.set("late", "v"), late) == .deadlineExceeded)
    let slice = InternalMethod.dbSizePart.rawValue
    #expect(try refusal(slice, Ringstore_V1_DbSizeRequest(), late) == .deadlineExceeded)
    #expect(shard.core.keyCount == 1)
  }

  @Test func aCallThatWasHeldOnItsWayIsRefusedAsSuch() throws {
    var context = shard.core.frameContext(heardMillis: shard.core.clockMillis)
    let set = UInt32(CommandID.set.rawValue)
    context.nowNanos = context.staleNanos - 1
    #expect(try refusal(set, Requests.set("in time", "v"), context) == nil)
    context.nowNanos = context.staleNanos
    context.deadlineNanos = context.staleNanos
    let refusal = try refusal(set, Requests.set("late", "v"), context)
    #expect(refusal?.reason == .shardUnavailable, "its age comes before its deadline")
    #expect(shard.core.keyCount == 1)
  }

  @Test func partsOfAFanoutHaveItsDeadline() throws {
    var request = Ringstore_V1_MSetRequest()
    request.items = (0..<600).map { Requests.set("k\($0)", "v") }
    let bytes: [UInt8] = try request.serializedBytes()
    let caller = FanoutRecorder(shard.core)
    let context = shard.core.context(
      deadlineNanos: shard.clock.nowNanos + 500, nowNanos: shard.clock.nowNanos)
    let operation = try bytes.withUnsafeBytes {
      try OperationFactory.make(
        .mSet, message: $0, context, limits: shard.core.limits,
        describe: { DescribeMerge(cluster: "test", map: nil, router: nil, shardIDs: ["a"]) })
    }
    shard.core.start(operation, for: caller.reply, context)
    shard.core.runTurn()
    let written = shard.core.keyCount
    #expect(written > 0 && written < 600)
    shard.clock.nowNanos += 500
    shard.runTurns()
    #expect(shard.core.keyCount == written, "what is executed after the deadline came too late")
    let outcome = try #require(caller.outcome).get()
    let items = try Ringstore_V1_MSetResponse(serializedBytes: Array(outcome.readableBytesView))
      .items
    #expect(items.count == 600)
    #expect(
      items.filter { $0.error.code == StatusCode.deadlineExceeded.rawValue }.count == 600 - written)
  }

  @Test func theWallClockIsReadOnceASecond() {
    var asked = 0
    let wall = WallClock {
      asked += 1
      return 1_000_000 + Int64(asked)
    }
    #expect(wall.millis(atNanos: 5_000_000) == 1_000_001)
    #expect(wall.millis(atNanos: 7_900_000) == 1_000_003)
    #expect(wall.millis(atNanos: 1_004_999_999) == 1_001_000)
    #expect(asked == 1)
    #expect(wall.millis(atNanos: 1_005_000_000) == 1_000_002, "the system's clock may be set")
    #expect(asked == 2)
  }
}

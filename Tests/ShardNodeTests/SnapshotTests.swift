// Snapshot at a shard: which pass counts for a call, when it has its reply, and what fails it.

import Commands
import GRPC
import Log
import NIOCore
import NodeCore
import ProtobufMessages
import RingstoreAPI
import SwiftProtobuf
import Testing

@testable import ShardNode

@Suite struct SnapshotTests {
  private let logging = LoggingShard()
  private var core: ShardCore { logging.shard.core }
  private var clock: ManualClock { logging.shard.clock }

  /// Begins a call of a client on the shard itself.
  private func begin(_ core: ShardCore? = nil) throws -> FanoutRecorder {
    let core = core ?? self.core
    let caller = FanoutRecorder(core)
    let operation = try OperationFactory.make(
      .snapshot, message: UnsafeRawBufferPointer(start: nil, count: 0), CallContext(),
      limits: core.limits,
      describe: { DescribeMerge(cluster: "c", map: nil, router: nil, shardIDs: []) })
    core.start(operation, for: caller.reply, core.context(nowNanos: core.clock()))
    return caller
  }

  /// Turns of the shard, those of its passes among them.
  private func runTurns() {
    core.log?.passes.wantsTurn = { [core] in
      if let passes = core.log?.passes { core.turns.enqueue(passes) }
    }
    for _ in 0..<100 {
      core.endExpired()
      while core.hasTurns { core.runTurn() }
    }
  }

  private func asks(_ pass: UInt64) -> Ringstore_Internal_V1_SnapshotPartRequest {
    .with { $0.pass = pass }
  }

  private func diskCompletesThePass() {
    logging.disk.completePass()
    logging.log.takeEvents()
  }

  private func last(_ caller: FanoutRecorder) throws -> Ringstore_V1_ShardSnapshot {
    let message = try #require(caller.messages.last)
    return try #require(
      try Ringstore_V1_SnapshotProgress(serializedBytes: Array(message.readableBytesView)).shards
        .first)
  }

  private func error(_ caller: FanoutRecorder) -> CallError? {
    if case .failure(let error)? = caller.outcome { error } else { nil }
  }

  @Test func theReplyComesWhenThePassIsComplete() throws {
    for number in 0..<1_000 { _ = try logging.shard.set("k\(number)", "v") }
    logging.commit()
    runTurns()
    #expect(logging.disk.passes.isEmpty)
    let caller = try begin()
    runTurns()
    #expect(logging.disk.passes.count == 1 && logging.disk.passes[0].lastAsOf != nil)
    #expect(caller.outcome == nil, "the disk hasn't said that it is complete")
    diskCompletesThePass()
    runTurns()
    #expect(caller.outcome != nil && error(caller) == nil)
    let told = try last(caller)
    #expect(told.shard == "a" && told.complete && told.keys == 1_000 && told.keysDone == 1_000)
    #expect(told.bytes > 1_000)
  }

  @Test func whileItIsMadeTheCallerHearsHowFarItIs() throws {
    for number in 0..<1_000 { _ = try logging.shard.set("k\(number)", "v") }
    logging.disk.isSlow = true
    let caller = try begin()
    runTurns()
    #expect(try last(caller).keysDone == 0)
    logging.disk.takePass()
    logging.log.passes.wantsTurn()
    runTurns()
    let heard = caller.messages.count
    clock.advance(millis: 250)
    runTurns()
    #expect(caller.messages.count == heard + 1 && caller.outcome == nil)
    #expect(try last(caller).keysDone == 1_000)
    #expect(try last(caller).elapsedMillis == 250)
  }

  @Test func aPassUnderWayIsJoinedAndHasWhatWasWrittenBefore() throws {
    logging.disk.isSlow = true
    let first = try begin()
    runTurns()
    _ = try logging.shard.set("later", "v")
    let written = core.log?.latest
    let second = try begin()
    runTurns()
    #expect(logging.disk.passes.count == 1 && logging.disk.passes[0].lastAsOf == nil)
    logging.disk.takePass()
    logging.log.passes.wantsTurn()
    runTurns()
    let lastAsOf = try #require(logging.disk.passes[0].lastAsOf)
    #expect(lastAsOf > logging.disk.passes[0].begin, "the log is synced as far before it counts")
    #expect(written != nil)
    diskCompletesThePass()
    runTurns()
    #expect(first.outcome != nil && second.outcome != nil)
  }

  @Test func onePassThatHasTakenItsLastImageIsTooEarlyForALaterCall() throws {
    let first = try begin()
    runTurns()
    #expect(logging.disk.passes.last?.lastAsOf != nil)
    _ = try logging.shard.set("later", "v")
    let second = try begin()
    runTurns()
    #expect(logging.disk.passes.count == 1)
    diskCompletesThePass()
    runTurns()
    #expect(first.outcome != nil && second.outcome == nil)
    #expect(logging.disk.passes.count == 2, "another follows by itself")
    diskCompletesThePass()
    runTurns()
    #expect(second.outcome != nil && error(second) == nil)
  }

  @Test func aDiskThatIsFullFailsIt() throws {
    let first = try begin()
    runTurns()
    let second = try begin()
    runTurns()
    logging.disk.abandonPass(logging.disk.passes[0].begin)
    logging.log.takeEvents()
    runTurns()
    #expect(error(first)?.reason == .diskFull && error(first)?.shard == "a")
    #expect(error(second)?.reason == .diskFull, "the next one would fare no better")
    #expect(logging.disk.passes.count == 1)
    logging.disk.tell(.diskFull(true))
    logging.log.takeEvents()
    let third = try begin()
    runTurns()
    #expect(error(third)?.reason == .diskFull && logging.disk.passes.count == 1)
    logging.disk.tell(.diskFull(false))
    logging.log.takeEvents()
    let fourth = try begin()
    runTurns()
    diskCompletesThePass()
    runTurns()
    #expect(fourth.outcome != nil && error(fourth) == nil)
  }

  @Test func aShardThatEndsLetsItsCallersGo() throws {
    let caller = try begin()
    runTurns()
    core.snapshots?.leave()
    runTurns()
    #expect(error(caller)?.reason == .shardUnavailable)
  }

  @Test func aShardInMemoryOnlySaysSo() throws {
    let shard = ShardFixture()
    let caller = try begin(shard.core)
    shard.runTurns()
    #expect(error(caller)?.code == .failedPrecondition)
    #expect(error(caller)?.message.contains("in memory only") == true)
  }

  @Test func aCallerThatGoesLeavesNothingBehind() throws {
    logging.disk.isSlow = true
    let caller = try begin()
    runTurns()
    #expect(core.hasTimeLimits)
    caller.reply.drop()
    #expect(core.deadlines.isEmpty)
  }

  @Test func overALinkTheReplyComesWhenThereIsNews() throws {
    let calls = Lane(.calls, core)
    _ = try calls.greet(try Link.hello())
    logging.commit()
    calls.saysInForce(try Maps.of(["a"]))
    _ = try Link.accepted(.bulk, logging.shard)
    runTurns()
    calls.give { $0.part(1, .snapshotPart, asks(0)) }
    #expect(calls.take().map(\.id) == [1], "the number of the pass comes at once")
    calls.give { $0.part(2, .snapshotPart, asks(1)) }
    runTurns()
    #expect(calls.take().isEmpty)
    clock.advance(millis: 250)
    runTurns()
    #expect(calls.take().map(\.id) == [2])
    calls.give { $0.part(3, .snapshotPart, asks(1)) }
    diskCompletesThePass()
    runTurns()
    #expect(calls.take().map(\.id) == [3])
    calls.give { $0.part(4, .snapshotPart, asks(1)) }
    #expect(calls.take().map(\.id) == [4], "what has ended is told at once")
  }
}

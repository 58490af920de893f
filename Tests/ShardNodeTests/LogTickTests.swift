// The ticks of a loop with a log: what is logged goes to the disk by itself, and in the way that was
// decided before the tick.

import LogFiles
import NIOCore
import NodeCore
import ProtobufMessages
import RingstoreAPI
import Store
import Testing

@testable import ShardNode

@Suite struct LogTickTests {
  private static let ways: [(FsyncPolicy, isDirect: Bool)] = [
    (.always, false), (.everysec, false), (.everysec, true), (.never, false), (.never, true),
  ]

  /// A shard that has greeted a router, with an empty log behind it.
  private func greeted(_ policy: FsyncPolicy, isDirect: Bool) throws -> (LoggingShard, Lane) {
    let logging = LoggingShard(policy)
    logging.disk.takesDirectWrites = isDirect
    let lane = Lane(.calls, logging.shard.core)
    _ = try lane.greet(try Link.hello())
    logging.settle()
    #expect(try #require(lane.hello).accepted)
    return (logging, lane)
  }

  /// A shard that joins raises its ceiling above the versions of others. That is no change of a
  /// key, so nothing but the log itself has it written; and these replies wait for all that is
  /// logged.
  @Test(arguments: Self.ways)
  func afterSlotsCameRepliesThatTellOfAllKeysNeedNoWrite(
    policy: FsyncPolicy, isDirect: Bool
  ) throws {
    let (logging, lane) = try greeted(policy, isDirect: isDirect)
    let shard = logging.shard
    lane.saysInForce(
      try Maps.of(["a"]),
      versionsBelow: Store.versionsBegin(unixMillis: shard.clock.wallMillis + 3_600_000))
    logging.settle()
    lane.drained()
    lane.give { frame in
      frame.part(1, .dbSizePart, Ringstore_V1_DbSizeRequest())
      frame.part(2, .randomKeyPart, Ringstore_Internal_V1_RandomKeyPartRequest())
      frame.part(3, .digestPart, Ringstore_V1_DigestRequest())
    }
    shard.runTurns()
    logging.settle()
    let replies = lane.take()
    #expect(Set(replies.map(\.id)) == [1, 2, 3])
    #expect(replies.map(\.code) == [0, 0, 0])
  }

  /// Each router that has said that a map is in force sends calls on its slots. They wait until the
  /// shard's ceiling is durable; none is returned as of a slot that isn't there yet.
  @Test func callsOfEveryRouterThatPutAMapIntoForceWaitForTheCeiling() throws {
    let logging = LoggingShard()
    let routers = ["r/0", "s/0"]
    let lanes = routers.map { _ in Lane(.calls, logging.shard.core) }
    for (lane, router) in zip(lanes, routers) {
      _ = try lane.greet(try Link.hello(router: router))
      logging.settle()
      #expect(try #require(lane.hello).accepted)
    }
    for lane in lanes {
      lane.saysInForce(
        try Maps.of(["a"]),
        versionsBelow: Store.versionsBegin(
          unixMillis: logging.shard.clock.wallMillis + 3_600_000))
    }
    for lane in lanes { lane.give { $0.call(1, .get, Requests.key("k")) } }
    for lane in lanes { #expect(lane.take().isEmpty) }
    logging.settle()
    for lane in lanes {
      lane.drained()
      logging.settle()
      #expect(lane.take().map(\.code) == [0])
    }
  }

  /// What is sent over a connection that tells of state waits for it, refusals too: they can be
  /// looked at, but over a connection that breaks first they are never sent.
  @Test func aRefusalBehindStateThatIsNotDurableIsHeldWithIt() throws {
    let logging = LoggingShard()
    let lane = Lane(.calls, logging.shard.core)
    _ = try lane.greet(try Link.hello())
    lane.give { $0.call(1, .set, Requests.set("k", "v")) }
    #expect(lane.take().isEmpty)
    let held = try #require(lane.session?.heldForState)
    let frame = try Ringstore_Internal_V1_ShardFrame(serializedBytes: Array(held.readableBytesView))
    #expect(frame.replies.map(\.id) == [1])
    #expect(frame.replies.allSatisfy { $0.code != 0 })
    logging.settle()
    #expect(lane.session?.heldForState == nil)
    #expect(lane.take().map(\.id) == [1])
  }

  /// Otherwise the change would go to the threads, with output held that only a write by the loop
  /// itself releases: the shard would send nothing before the next one.
  @Test(arguments: [FsyncPolicy.everysec, .never])
  func aLookAtTheDiskWithinATickLeavesTheWayOfItsChanges(policy: FsyncPolicy) throws {
    let (logging, lane) = try greeted(policy, isDirect: true)
    lane.saysInForce(try Maps.of(["a"]))
    logging.settle()
    lane.drained()
    #expect(logging.log.isDirect)
    // What isn't synced has the disk looked at.
    lane.give { $0.call(1, .set, Requests.set("k", "v")) }
    logging.settle()
    lane.give { $0.call(2, .set, Requests.set("k", "w")) }
    logging.shard.core.watchLinks()
    logging.settle()
    #expect(lane.take().map(\.id) == [1, 2])
    #expect(!logging.isHeld)
  }
}

// What a shard with a log promises: nothing is reported before it is committed, and nothing is
// refused or held that need not be.

import Commands
import GRPC
import Log
import LogFiles
import NIOCore
import NodeCore
import Placement
import ProtobufMessages
import RingstoreAPI
import Store
import SwiftProtobuf
import Testing

@testable import ShardNode

@Suite struct ShardLogTests {
  /// A link that is open, on a shard whose states are durable.
  private func open(_ logging: LoggingShard) throws -> Link {
    let calls = Lane(.calls, logging.shard.core)
    _ = try calls.greet(try Link.hello())
    logging.commit()
    calls.saysInForce(try Maps.of(["a"]))
    let bulk = try Link.accepted(.bulk, logging.shard)
    return Link(calls: calls, bulk: bulk)
  }

  @Test(arguments: [FsyncPolicy.everysec, .never])
  func aWriteHasItsReplyWhenTheSystemHasIt(policy: FsyncPolicy) throws {
    let logging = LoggingShard(policy)
    let link = try open(logging)
    #expect(link.call(1, .set, Requests.set("k", "v")).isEmpty)
    logging.tick()
    #expect(link.calls.take().isEmpty)
    logging.disk.writeAll()
    logging.log.takeEvents()
    #expect(link.calls.take().map(\.id) == [1])
  }

  @Test func whereTheLoopWritesByItselfRepliesPassAndOutputIsHeld() throws {
    let logging = LoggingShard()
    let link = try open(logging)
    logging.disk.takesDirectWrites = true
    logging.commit()
    #expect(logging.log.isDirect)
    link.calls.give { frame in
      frame.call(1, .set, Requests.set("k", "v"))
      frame.call(2, .get, Requests.key("k"))
    }
    #expect(link.calls.take().map(\.id) == [1, 2])
    #expect(logging.isHeld, "no connection writes before the log is written")
    logging.tick()
    #expect(!logging.isHeld)
    #expect(try logging.replayed().totalKeyCount == 1)
    #expect(link.call(3, .get, Requests.key("k")).map(\.id) == [3])
    #expect(!logging.isHeld, "nothing was changed")
  }

  @Test func whatTheLoopCantWriteByItselfHoldsOutputUntilTheDiskHasIt() throws {
    let logging = LoggingShard()
    let link = try open(logging)
    logging.disk.takesDirectWrites = true
    logging.commit()
    #expect(link.call(1, .set, Requests.set("k", "v")).map(\.id) == [1])
    logging.disk.takesDirectWrites = false
    logging.tick()
    #expect(logging.isHeld && !logging.log.isDirect)
    // From then on replies wait at the gate as well.
    #expect(link.call(2, .set, Requests.set("other", "v")).isEmpty)
    logging.tick()
    #expect(logging.isHeld)
    logging.disk.takesDirectWrites = true
    logging.commit()
    #expect(!logging.isHeld && logging.log.isDirect)
    #expect(link.calls.take().map(\.id) == [2])
  }

  @Test func aDiskThatFailsADirectWriteHoldsOutputForGood() throws {
    let logging = LoggingShard()
    let link = try open(logging)
    logging.disk.takesDirectWrites = true
    logging.commit()
    #expect(link.call(1, .set, Requests.set("k", "v")).map(\.id) == [1])
    logging.disk.takesDirectWrites = false
    logging.tick()
    logging.disk.tell(.directoryGone("data"))
    logging.log.takeEvents()
    #expect(logging.isHeld, "the write isn't acknowledged")
    #expect(logging.failures.count == 1)
    #expect(link.call(2, .set, Requests.set("k", "w")).first?.callError.reason == .shardUnavailable)
  }

  @Test func afterASlowWriteTheLoopLeavesWritingToThreadsForAWhile() throws {
    let logging = LoggingShard()
    let link = try open(logging)
    logging.disk.takesDirectWrites = true
    logging.commit()
    logging.disk.whileWriting = { logging.shard.clock.nowNanos += ShardLog.slowNanos + 1 }
    #expect(link.call(1, .set, Requests.set("k", "v")).map(\.id) == [1])
    logging.tick()
    #expect(!logging.isHeld && !logging.log.isDirect)
    #expect(link.call(2, .set, Requests.set("k", "w")).isEmpty)
    logging.commit()
    #expect(link.calls.take().map(\.id) == [2])
    #expect(!logging.log.isDirect)
    logging.shard.clock.nowNanos += ShardLog.slowPauseNanos
    logging.commit()
    #expect(logging.log.isDirect)
  }

  @Test func aFullDiskRefusesWritesOfALoopThatWritesByItself() throws {
    let logging = LoggingShard()
    let link = try open(logging)
    logging.disk.takesDirectWrites = true
    logging.commit()
    #expect(logging.log.isDirect)
    logging.disk.tell(.diskFull(true))
    logging.log.takeEvents()
    let refused = link.call(1, .set, Requests.set("k", "v"))
    #expect(refused.first?.callError.reason == .diskFull)
    #expect(link.call(2, .get, Requests.key("k")).map(\.code) == [0])
    logging.disk.tell(.diskFull(false))
    logging.log.takeEvents()
    #expect(link.call(3, .set, Requests.set("k", "v")).map(\.code) == [0])
  }

  @Test func underAlwaysTheReplyComesWhenItIsSynced() throws {
    let logging = LoggingShard(.always)
    let link = try open(logging)
    #expect(link.call(1, .set, Requests.set("k", "v")).isEmpty)
    logging.commit(syncing: false)
    #expect(link.calls.take().isEmpty)
    logging.disk.sync()
    logging.log.takeEvents()
    #expect(link.calls.take().map(\.id) == [1])
  }

  @Test func whatTellsOfAChangeWaitsForItAndNothingElseDoes() throws {
    let logging = LoggingShard()
    let link = try open(logging)
    link.calls.give { $0.call(1, .set, Requests.set("other", "v")) }
    logging.commit()
    _ = link.calls.take()
    link.calls.give { frame in
      frame.call(2, .set, Requests.set("k", "v"))
      frame.call(3, .get, Requests.key("k"))
      frame.call(4, .get, Requests.key("other"))
      frame.call(5, .lPush, Requests.push("k", ["wrong type"]))
      frame.call(6, .get, Requests.key(""))
    }
    #expect(link.calls.take().map(\.id) == [4, 6])
    logging.commit()
    #expect(link.calls.take().map(\.id) == [2, 3, 5])
    link.calls.give { $0.call(7, .get, Requests.key("k")) }
    #expect(link.calls.take().map(\.id) == [7], "it is committed")
  }

  @Test func aKeyThatExpiredIsTellingOfItsDeletion() throws {
    let logging = LoggingShard()
    let link = try open(logging)
    var set = Requests.set("k", "v")
    set.ttlMillis = 10
    link.calls.give { $0.call(1, .set, set) }
    logging.commit()
    _ = link.calls.take()
    logging.shard.clock.jump(to: logging.shard.clock.wallMillis + 1_000)
    link.calls.give { $0.call(2, .get, Requests.key("k")) }
    #expect(link.calls.take().isEmpty, "that it is gone has to be as durable as that it was there")
    logging.commit()
    #expect(link.calls.take().map(\.id) == [2])
    #expect(try logging.replayed().totalKeyCount == 0)
  }

  @Test func nothingExpiresWhileAShardLoads() throws {
    let shard = ShardFixture()
    var set = Requests.set("k", "v")
    set.ttlMillis = 10
    let status: Ringstore_V1_Status = try shard.call(.set, set)
    #expect(status.ok)
    let version = shard.core.store.versionMax
    shard.core.state = .loading
    shard.clock.jump(to: shard.clock.wallMillis + 1_000)
    #expect(!shard.core.hasTimeLimits)
    shard.core.endExpired()
    shard.runTurns()
    #expect(shard.core.store.totalKeyCount == 1)
    #expect(shard.core.store.versionMax == version)
    #expect(shard.failure(.get, Requests.key("k"))?.reason == .shardUnavailable)
    shard.core.state = .serving
    #expect(shard.core.hasTimeLimits)
    shard.core.endExpired()
    shard.runTurns()
    #expect(shard.core.store.totalKeyCount == 0)
  }

  @Test func aShardThatLoadsDescribesItselfWithItsProgress() throws {
    let shard = ShardFixture()
    shard.core.state = .loading
    shard.core.detail = "40 % of 7 MiB read"
    var response = ByteBuffer()
    try shard.execute(
      InternalMethod.describePart.rawValue, Ringstore_V1_DescribeRequest(), into: &response)
    let node = try response.withUnsafeReadableBytes { NodeDescription(try V1.Node($0)) }
    #expect(node.state == .loading && node.detail == "40 % of 7 MiB read")
  }

  @Test func aShardThatIsStoppedWhileItLoadsServesNothingBeforeItHasLoaded() throws {
    let shard = ShardFixture()
    shard.core.state = .loading
    shard.core.beginDraining()
    #expect(shard.core.state == .loading)
    #expect(shard.failure(.get, Requests.key("k"))?.reason == .shardUnavailable)
    #expect(shard.failure(.set, Requests.set("k", "v"))?.reason == .shardUnavailable)
    shard.core.loaded()
    #expect(shard.core.state == .draining)
    #expect(shard.failure(.get, Requests.key("k")) == nil)
  }

  @Test func changesWaitForOneAnotherWhileTheDiskIsBusy() throws {
    let logging = LoggingShard(.always)
    let link = try open(logging)
    for id in UInt64(1)...20 {
      link.calls.give { $0.call(id, .set, Requests.set("k\(id)", "v")) }
      logging.tick()
    }
    #expect(logging.disk.given.count == 16, "the others are gathered for the next write")
    logging.commit()
    #expect(link.calls.take().map(\.id) == Array(1...16))
    logging.commit()
    #expect(link.calls.take().map(\.id) == Array(17...20))
  }

  @Test func aHelloHasItsReplyWhenTheMapIsDurable() throws {
    let logging = LoggingShard(.never)
    let calls = Lane(.calls, logging.shard.core)
    _ = try calls.greet(try Link.hello())
    #expect(calls.hello == nil)
    logging.tick()
    #expect(logging.disk.syncsAsked > 0, "whatever the policy")
    logging.commit(syncing: false)
    #expect(calls.hello == nil)
    // A second router brings the same map: its reply isn't durable either.
    let second = Lane(.calls, logging.shard.core)
    _ = try second.greet(try Link.hello(router: "s/0"))
    #expect(second.hello == nil)
    logging.disk.sync()
    logging.log.takeEvents()
    #expect(try #require(calls.hello).accepted)
    #expect(try #require(second.hello).accepted)
    #expect(try #require(calls.hello).recovers)
  }

  @Test func aFullDiskRefusesWritesAndTakesThemAgain() throws {
    let logging = LoggingShard()
    let link = try open(logging)
    _ = link.call(1, .set, Requests.set("k", "v"))
    logging.commit()
    _ = link.calls.take()
    logging.disk.room = DiskRoom(free: 3 << 20, needed: 72 << 20)
    logging.disk.tell(.diskFull(true))
    logging.log.takeEvents()
    let refused = link.call(2, .set, Requests.set("k", "w"))
    #expect(refused.map(\.code) == [StatusCode.resourceExhausted.rawValue])
    #expect(refused.first?.callError.reason == .diskFull)
    for sentence in [refused.first?.message, logging.shard.core.describe().detail] {
      #expect(sentence?.contains("3 MiB are free, and 72 MiB needed") == true)
    }
    #expect(logging.shard.core.notReadyReason == nil, "reads continue")
    #expect(link.call(3, .get, Requests.key("k")).map(\.code) == [0])
    logging.disk.tell(.diskFull(false))
    logging.log.takeEvents()
    #expect(link.call(4, .set, Requests.set("k", "w")).isEmpty)
    logging.commit()
    #expect(link.calls.take().map(\.code) == [0])
    #expect(logging.shard.core.describe().detail.isEmpty)
  }

  @Test func whatStandsIsReportedOnceAndSeenUntilItContinues() throws {
    let logging = LoggingShard()
    var told: [Bool] = []
    logging.log.onStall = { told.append($0) }
    let link = try open(logging)
    let core = logging.shard.core
    _ = link.call(1, .set, Requests.set("k", "v"))
    logging.tick()
    #expect(core.notReadyReason == nil && core.describe().detail.isEmpty)
    logging.shard.clock.nowNanos += ShardLog.stallNanos + 1
    // Nothing is written meanwhile: the look after the links finds it out.
    for _ in 0..<2 { core.watchLinks() }
    #expect(told == [true])
    #expect(core.describe().detail.contains("LOG_STALLED"))
    #expect(core.notReadyReason?.contains("LOG_STALLED") == true)
    let refused = link.call(2, .set, Requests.set("other", "w"))
    #expect(refused.first?.callError.reason == .logStalled)
    #expect(refused.first?.callError.retryDelayMillis == 1_000)
    logging.commit()
    #expect(told == [true, false])
    #expect(core.notReadyReason == nil && core.describe().detail.isEmpty)
  }

  @Test func aDiskThatStandsRefusesWritesBeforeTheyAreExecuted() throws {
    let logging = LoggingShard()
    let link = try open(logging)
    _ = link.call(1, .set, Requests.set("k", "v"))
    logging.tick()
    logging.shard.clock.nowNanos += ShardLog.stallNanos + 1
    // It is found out at the end of the next tick with a change.
    #expect(link.call(2, .set, Requests.set("k", "w")).isEmpty)
    logging.tick()
    let refused = link.call(3, .set, Requests.set("other", "w"))
    #expect(refused.map(\.code) == [StatusCode.unavailable.rawValue])
    #expect(refused.first?.callError.reason == .logStalled)
    #expect(link.call(4, .get, Requests.key("other")).map(\.code) == [0])
    logging.commit()
    #expect(link.calls.take().map(\.id) == [1, 2])
    _ = link.call(5, .set, Requests.set("other", "w"))
    logging.commit()
    #expect(link.calls.take().map(\.code) == [0])
  }

  @Test(arguments: FsyncPolicy.allCases)
  func everysecRefusesWritesWhereASyncTakesTooLong(policy: FsyncPolicy) throws {
    let logging = LoggingShard(policy)
    let link = try open(logging)
    _ = link.call(1, .set, Requests.set("k", "v"))
    logging.commit(syncing: policy == .always)
    logging.shard.clock.nowNanos += ShardLog.stallNanos + 1
    _ = link.call(2, .set, Requests.set("k", "w"))
    logging.commit(syncing: policy == .always)
    _ = link.calls.take()
    let refused = link.call(3, .set, Requests.set("k", "x"))
    #expect(refused.first?.callError.reason == (policy == .everysec ? .logStalled : nil))
    logging.disk.sync()
    logging.log.takeEvents()
    #expect(link.call(4, .get, Requests.key("other")).map(\.code) == [0])
    _ = link.call(5, .set, Requests.set("k", "y"))
    logging.commit()
    #expect(link.calls.take().map(\.code).last == 0)
  }

  @Test func noWriteIsAcknowledgedWhenTheDiskFails() throws {
    let logging = LoggingShard()
    let link = try open(logging)
    link.calls.give { frame in
      frame.call(1, .set, Requests.set("k", "v"))
      frame.call(2, .get, Requests.key("k"))
    }
    logging.tick()
    logging.disk.tell(.directoryGone("data"))
    logging.log.takeEvents()
    let replies = link.calls.take()
    #expect(replies.map(\.callError.reason) == [.outcomeUnknown, .shardUnavailable])
    #expect(logging.failures.count == 1)
    let refused = link.call(3, .set, Requests.set("k", "w"))
    #expect(refused.first?.callError.reason == .shardUnavailable)
  }

  @Test func theCeilingIsRaisedBeforeAVersionComesNearIt() throws {
    let millis: Int64 = 1_700_000_000_000
    let begin = VersionCeiling.start(recovered: 0, unixMillis: millis)
    #expect(begin.versionsBegin == Store.versionsBegin(unixMillis: millis))
    #expect(begin.ceiling.value > begin.versionsBegin)
    let next = VersionCeiling.start(recovered: begin.ceiling.value, unixMillis: 0)
    #expect(next.versionsBegin == begin.ceiling.value, "a clock that was set back counts nothing")
    var raised = begin.ceiling
    raised.raise(above: begin.ceiling.raiseFrom)
    #expect(raised.raiseFrom > begin.ceiling.raiseFrom && raised.value > begin.ceiling.value)
    raised.raise(above: raised.value + 1_000)
    #expect(raised.raiseFrom > begin.ceiling.value + 1_000)
  }

  @Test func whatWasEvictedIsGoneInTheReplayToo() throws {
    let logging = LoggingShard()
    let link = try open(logging)
    let store = logging.shard.core.store
    store.memoryLimit = MemoryLimit(bytes: store.usedBytes + 200_000, policy: .allKeysLRU)
    let value = String(repeating: "x", count: 1_000)
    for id in UInt64(1)...400 {
      link.calls.give { $0.call(id, .set, Requests.set("k\(id)", value)) }
      logging.commit()
    }
    #expect(store.evictedKeyCount > 100)
    let replayed = try logging.replayed()
    for id in 1...400 {
      let slot = Array("k\(id)".utf8).withUnsafeBytes { Slots.slot(of: $0) }
      #expect(replayed.keyCount(database: 0, slot: slot) == store.keyCount(database: 0, slot: slot))
    }
  }

  @Test func whatWasWrittenMakesTheSameKeys() throws {
    let logging = LoggingShard()
    let link = try open(logging)
    var id: UInt64 = 0
    for round in 0..<50 {
      link.calls.give { frame in
        for index in 0..<20 {
          id += 1
          switch (round + index) % 5 {
          case 0: frame.call(id, .set, Requests.set("s\(index)", "v\(round)"))
          case 1: frame.call(id, .lPush, Requests.push("l\(index)", ["a", "b\(round)"]))
          case 2: frame.call(id, .incrBy, Requests.increment("n\(index)", by: Int64(round)))
          case 3: frame.call(id, .delete, Requests.key("s\(index)"))
          default: frame.call(id, .rPop, Requests.key("l\(index)"))
          }
        }
      }
      logging.commit()
    }
    let replayed = try logging.replayed()
    let store = logging.shard.core.store
    #expect(replayed.totalKeyCount == store.totalKeyCount && store.totalKeyCount > 20)
    for slot in 0..<16_384 where store.keyCount(database: 0, slot: slot) > 0 {
      #expect(replayed.keyCount(database: 0, slot: slot) == store.keyCount(database: 0, slot: slot))
    }
  }
}

extension Ringstore_Internal_V1_LinkReply {
  /// The error that it carries.
  fileprivate var callError: CallError {
    CallError(
      code: StatusCode(rawValue: code) ?? .unknown, message: message, details: Array(details))
  }
}

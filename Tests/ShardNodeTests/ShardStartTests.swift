// A start of a shard with data on disk: what it deletes before it serves.

import Commands
import LogFiles
import NodeCore
import SimulatedDisk
import Store
import Testing

@testable import ShardNode

@Suite struct ShardStartTests {
  /// A shard with so many keys, which has ended, and the memory that they took.
  private func filled(
    _ policy: FsyncPolicy = .never, keys: Int = 2_000, keyBytes: Int = 10
  ) throws -> (shard: StoredShard, bytes: Int) {
    let stored = try StoredShard(policy)
    try stored.startWhole()
    let padding = String(repeating: "k", count: keyBytes)
    for number in 0..<keys { try stored.shard.set("\(padding)\(number)", "a value of some bytes") }
    stored.settle()
    let bytes = stored.store.usedBytes
    stored.end()
    return (stored, bytes)
  }

  /// Continues until the shard serves.
  private func serve(_ stored: StoredShard) throws {
    while !stored.isServing { try #require(stored.step(), "the shard serves at last") }
  }

  @Test func howFarItIsStandsInDescribeInProbesAndEveryFiveSecondsInTheLog() throws {
    let (stored, _) = try filled()
    stored.loadBytesPerTurn = 1_000
    try stored.start()
    var progress: [String] = []
    var seconds = 0
    while !stored.isServing {
      let detail = stored.core.describe().detail
      if !detail.isEmpty, progress.last != detail { progress.append(detail) }
      #expect(stored.core.notReadyReason?.hasSuffix(detail) == true)
      let lines = stored.nodeLog.lines("loading the data")
      // A step that isn't one of the loading has the line wait for the next one.
      #expect((seconds / 5 - 1...seconds / 5).contains(lines.count))
      if let line = lines.last {
        #expect(line.level == .notice && progress.contains(line.metadata["progress"] ?? ""))
      }
      stored.clock.advance(millis: 1_000)
      seconds += 1
      try #require(stored.step(), "the shard serves at last")
    }
    #expect(progress.count > 20)
    #expect(progress.contains { $0.hasSuffix(" MiB read") })
    #expect(progress.last?.contains("are deleted") == true)
    #expect(stored.nodeLog.lines("loading the data").count > 4)
    #expect(stored.core.describe().detail.isEmpty && stored.core.notReadyReason == nil)
  }

  @Test(arguments: FsyncPolicy.allCases)
  func aShardThatGetsLessMemoryIsWithinItsLimitWhenItServes(policy: FsyncPolicy) throws {
    let (stored, bytes) = try filled(policy)
    stored.memory = MemoryLimit(bytes: bytes * 3 / 4, policy: .allKeysLRU)
    try stored.start()
    try serve(stored)
    #expect(!stored.store.isOverMemoryLimit)
    let kept = stored.store.totalKeyCount
    #expect((200..<1_900).contains(kept))
    #expect(stored.store.evictedKeyCount == 2_000 - kept)
    #expect(
      stored.nodeLog.lines("the data is loaded").last?.metadata["evicted"] == "\(2_000 - kept)")
    // What was evicted is gone for good.
    stored.settle()
    stored.end()
    stored.memory = MemoryLimit()
    try stored.startWhole()
    #expect(stored.store.totalKeyCount == kept)
  }

  @Test func keysThatMayNotBeEvictedStayAndTheShardServes() throws {
    let (stored, bytes) = try filled()
    for policy in [EvictionPolicy.noEviction, .volatileLRU] {
      stored.memory = MemoryLimit(bytes: bytes / 2, policy: policy)
      try stored.startWhole()
      #expect(stored.store.totalKeyCount == 2_000)
      #expect(stored.shard.failure(.get, Requests.key("k")) == nil)
      #expect(stored.shard.failure(.set, Requests.set("k", "v"))?.reason == .memoryLimit)
    }
  }

  @Test func whatHasExpiredIsDeletedBeforeAnythingIsEvicted() throws {
    let (stored, bytes) = try filled()
    try stored.startWhole()
    for number in 0..<2_000 {
      var set = Requests.set("expires-\(number)", "a value of some bytes")
      set.ttlMillis = 1_000
      #expect(stored.shard.failure(.set, set) == nil)
    }
    stored.settle()
    stored.end()
    stored.clock.advance(millis: 2_000)
    stored.memory = MemoryLimit(bytes: bytes * 3 / 2, policy: .allKeysLRU)
    try stored.start()
    try serve(stored)
    #expect(stored.store.totalKeyCount == 2_000 && stored.store.evictedKeyCount == 0)
  }

  /// A deletion carries its key. Some thousand of these are more than may be under way at a time.
  @Test func aDiskThatStandsStopsEvictionAndNotForGood() throws {
    let (stored, bytes) = try filled(.always, keys: 4_000, keyBytes: 1_000)
    stored.memory = MemoryLimit(bytes: bytes / 8, policy: .allKeysLRU)
    try stored.start()
    while stored.core.log == nil { try #require(stored.step()) }
    stored.isStalled = true
    stored.settle()
    let log = try #require(stored.core.log)
    #expect(!stored.isServing && stored.store.isOverMemoryLimit)
    #expect(log.bytesWaiting > StartCleaning.bytesUnderWayMax)
    #expect(log.bytesWaiting < 2 * StartCleaning.bytesUnderWayMax)
    stored.isStalled = false
    try serve(stored)
    #expect(!stored.store.isOverMemoryLimit)
  }

  @Test func aFullDiskIsServedFromThoughItTakesNoDeletions() throws {
    let (stored, bytes) = try filled(.everysec, keys: 4_000, keyBytes: 1_000)
    stored.memory = MemoryLimit(bytes: bytes / 8, policy: .allKeysLRU)
    stored.disk.capacity = stored.disk.usedBytes
    try stored.start()
    stored.settle()
    #expect(stored.isServing && stored.store.isOverMemoryLimit)
    #expect(stored.core.log?.isDiskFull == true)
    #expect(stored.shard.failure(.get, Requests.key("k")) == nil)
    #expect(stored.shard.failure(.set, Requests.set("k", "v"))?.reason == .diskFull)
    stored.disk.capacity = .max
    stored.clock.advance(millis: 2_000)
    stored.settle()
    // The first writes have the rest evicted.
    _ = stored.shard.failure(.set, Requests.set("k", "v"))
    stored.settle()
    #expect(!stored.store.isOverMemoryLimit)
    #expect(stored.shard.failure(.set, Requests.set("k", "v")) == nil)
  }
}

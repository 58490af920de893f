// A shard whose memory limit is reached: which calls are served, which are refused, and what is
// evicted.

import Commands
import NIOCore
import ProtobufMessages
import RingstoreAPI
import Store
import SwiftProtobuf
import Testing

@testable import ShardNode

@Suite struct MemoryLimitTests {
  private let value = String(repeating: "x", count: 1_000)

  /// A shard that holds `count` keys of 1,000 bytes and has no more room.
  private func fullShard(_ policy: EvictionPolicy, keys count: Int = 1_000) throws -> ShardFixture {
    let shard = ShardFixture()
    for number in 0..<count {
      let set = Requests.set("key-\(number)", value)
      let _: Ringstore_V1_Status = try shard.call(.set, set)
    }
    shard.core.store.memoryLimit = MemoryLimit(
      bytes: shard.core.store.usedBytes - 1, policy: policy)
    return shard
  }

  @Test func writesThatNeedMemoryAreRefusedAndOthersContinue() throws {
    let shard = try fullShard(.noEviction)
    let refusal = try #require(shard.failure(.set, Requests.set("new", "v")))
    #expect(refusal.reason == .memoryLimit)
    #expect(refusal.message.contains("max_memory"))
    #expect(shard.failure(.incrBy, Requests.increment("number", by: 1))?.reason == .memoryLimit)
    #expect(shard.failure(.lPush, Requests.push("list", ["v"]))?.reason == .memoryLimit)
    #expect(shard.core.memoryRefusals == 3)
    let read: Ringstore_V1_Value = try shard.call(.get, Requests.key("key-1"))
    #expect(read.found)
    let deleted: Ringstore_V1_Status = try shard.call(.delete, Requests.key("key-1"))
    #expect(deleted.count == 1)
    #expect(shard.failure(.set, Requests.set("new", "v")) == nil, "there is room again")
    #expect(shard.core.store.evictedKeyCount == 0)
  }

  @Test func everyWriteIsOneOrTheOther() {
    let freeing: Set<String> = [
      "Delete", "Expire", "Persist", "GetDel", "GetEx", "LPop", "RPop", "LPopMany", "RPopMany",
      "LTrim", "LRem",
    ]
    for command in CommandTable.all where command.method != nil {
      #expect(
        command.needsMemory == (command.access == .write && !freeing.contains(command.name)),
        "\(command.name)")
    }
  }

  @Test func keysAreEvictedForAWrite() throws {
    let shard = try fullShard(.allKeysLRU)
    for number in 0..<500 {
      #expect(shard.failure(.set, Requests.set("new-\(number)", value)) == nil)
    }
    let store = shard.core.store
    #expect(store.usedBytes - store.memoryLimit.bytes < 3 * value.utf8.count)
    #expect(store.evictedKeyCount > 400 && store.totalKeyCount > 900)
  }

  /// One write that takes the room of hundreds: the call that comes next evicts a bounded number,
  /// and turns do the rest.
  @Test func turnsEvictWhatCallsLeaveOver() throws {
    let shard = try fullShard(.allKeysLRU, keys: 2_000)
    let store = shard.core.store
    store.memoryLimit.bytes = store.usedBytes * 31 / 32
    #expect(shard.failure(.set, Requests.set("new", value)) == nil)
    #expect(store.evictedKeyCount == Evictor.evictionsPerCall && store.isOverMemoryLimit)
    #expect(shard.runTurns() > 0)
    #expect(!store.isOverMemoryLimit)
  }

  @Test func writesAreRefusedWhileEvictionDoesNotKeepUp() throws {
    let shard = try fullShard(.allKeysLRU, keys: 2_000)
    let store = shard.core.store
    store.memoryLimit.bytes = store.usedBytes / 2
    #expect(shard.failure(.set, Requests.set("new", value))?.reason == .memoryLimit)
    shard.runTurns()
    #expect(shard.failure(.set, Requests.set("new", value)) == nil)
  }
}

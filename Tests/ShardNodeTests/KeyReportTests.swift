// HotKeys and BigKeys at a shard: what is sampled, and the walk in slices.

import Commands
import Foundation
import NIOCore
import NodeCore
import ProtobufMessages
import RingstoreAPI
import SwiftProtobuf
import Testing

@testable import ShardNode

@Suite struct KeyReportTests {
  private let shard = ShardFixture()

  /// Runs an operation on the shard itself. Returns its reply and how many turns it took.
  private func run<Reply: Message>(
    _ id: CommandID, _ request: some Message, as: Reply.Type = Reply.self
  ) throws -> (reply: Reply, turns: Int) {
    let caller = FanoutRecorder(shard.core)
    let bytes: [UInt8] = try request.serializedBytes()
    let operation = try bytes.withUnsafeBytes {
      try OperationFactory.make(
        id, message: $0, CallContext(), limits: shard.core.limits,
        describe: { DescribeMerge(cluster: "c", map: nil, router: nil, shardIDs: []) })
    }
    shard.core.start(operation, for: caller.reply, shard.core.context(nowNanos: 1_000))
    let turns = shard.runTurns()
    guard case .success(let response) = try #require(caller.outcome) else {
      throw CallError.internalError("no reply")
    }
    return (try Reply(serializedBytes: Array(response.readableBytesView)), turns)
  }

  // MARK: - HotKeys

  private func hotKeys(_ count: UInt32 = 0) throws -> [Ringstore_V1_HotKey] {
    let request = Ringstore_V1_HotKeysRequest.with { $0.count = count }
    return try run(.hotKeys, request, as: Ringstore_V1_HotKeysResponse.self).reply.keys
  }

  /// Every fourth look-up is of one key.
  private func load(_ calls: Int) throws {
    for number in 0..<calls {
      if number % 4 == 0 {
        _ = try shard.get("hot")
      } else {
        _ = try shard.get("cold:\(number)")
      }
    }
  }

  @Test func theKeyThatCallsLookUpMostOftenIsFirst() throws {
    #expect(try hotKeys().isEmpty)
    try load(40_000)
    let keys = try hotKeys()
    #expect(keys.count == 10)
    let first = try #require(keys.first)
    #expect(first.key == Data("hot".utf8) && first.shard == "a" && first.database == 0)
    // Some 312 samples, a fourth of which is the key's.
    #expect((0.15...0.35).contains(first.share) && (40...120).contains(first.samples))
    #expect(try hotKeys(3).count == 3)
    #expect(try hotKeys(1_000).count <= Int(HotKeysMerge.countMax))
  }

  /// While every look-up is noted for the gate, samples are as rare as ever.
  @Test func whatIsNotedAnywayIsSampledNoMoreOften() throws {
    _ = shard.holding()
    try load(20_000)
    let samples = try hotKeys(100).reduce(0) { $0 + $1.samples }
    #expect((100...220).contains(samples))
  }

  // MARK: - BigKeys

  private func bigKeys(
    _ count: UInt32 = 0, all: Bool = false
  ) throws -> (types: [Ringstore_V1_BigKeysOfType], turns: Int) {
    let request = Ringstore_V1_BigKeysRequest.with { ($0.count, $0.allDatabases) = (count, all) }
    let (reply, turns) = try run(.bigKeys, request, as: Ringstore_V1_BigKeysResponse.self)
    return (reply.types, turns)
  }

  private func names(_ keys: [Ringstore_V1_BigKey]) -> [String] {
    keys.map { String(decoding: $0.key, as: UTF8.self) }
  }

  @Test func theLargestKeysOfEachTypeAreFound() throws {
    #expect(try bigKeys().types.isEmpty)
    for number in 0..<6_000 {
      try shard.set("s:\(number)", String(repeating: "x", count: (number * 7_919) % 6_000))
    }
    for number in 1...50 {
      let values = Array(repeating: number == 7 ? "long value \(number)" : "v", count: number * 3)
      let _: Ringstore_V1_Status = try shard.call(.rPush, Requests.push("l:\(number)", values))
    }
    let heavy = [String(repeating: "x", count: 50_000)]
    let _: Ringstore_V1_Status = try shard.call(.rPush, Requests.push("heavy", heavy))
    try shard.set("elsewhere", String(repeating: "x", count: 100_000), database: 3)
    let (types, turns) = try bigKeys(5)
    #expect(types.map(\.type) == [.string, .list])
    #expect(types.map(\.keys) == [6_000, 51])
    let found = types[0].byBytes
    #expect(found.count == 5 && zip(found, found.dropFirst()).allSatisfy { $0.bytes >= $1.bytes })
    // Blocks come in steps of 16 bytes: the longest five or their neighbours.
    #expect(found.allSatisfy { $0.length > 5_975 && $0.shard == "a" && $0.type == .string })
    #expect(types[0].byLength.isEmpty)
    #expect(names(types[1].byBytes).first == "heavy" && types[1].byBytes.count == 5)
    #expect(names(types[1].byLength) == ["l:50", "l:49", "l:48", "l:47", "l:46"])
    #expect(types[1].byLength[0].length == 150)
    #expect(types[0].bytes > 6_000 * 2_000)
    #expect(turns > 1, "a walk takes turns")
    let all = try bigKeys(1, all: true).types
    #expect(names(all[0].byBytes) == ["elsewhere"] && all[0].keys == 6_001)
    #expect(all[0].byBytes[0].database == 3)
  }

  @Test func keysThatAreDueAreNotCounted() throws {
    for number in 0..<20 {
      var set = Requests.set("due:\(number)", "v")
      set.ttlMillis = 500
      let _: Ringstore_V1_Status = try shard.call(.set, set)
    }
    try shard.set("stays", "v")
    shard.clock.advance(millis: 2_000)
    let types = try bigKeys().types
    #expect(types.map(\.keys) == [1] && names(types[0].byBytes) == ["stays"])
  }

  /// So many long keys that not all of them fit into a message.
  @Test func longKeysAreFewerKeys() throws {
    let name = String(repeating: "k", count: 60_000)
    for number in 0..<100 { try shard.set("\(number)" + name, "v") }
    let types = try bigKeys(100).types
    #expect(types[0].keys == 100)
    #expect((10..<60).contains(types[0].byBytes.count))
  }

  /// Keys that had no room aren't passed by smaller ones.
  @Test func aSmallKeyIsNotNamedBeforeLargerOnesThatHadNoRoom() throws {
    let name = String(repeating: "k", count: 60_000)
    for number in 0..<100 { try shard.set("\(number)" + name, pattern(1_000)) }
    for number in 0..<100 { try shard.set("small\(number)", "v") }
    let keys = try bigKeys(100).types[0].byBytes.map(\.key)
    #expect(keys.count > 10 && keys.allSatisfy { $0.count > 60_000 })
  }

  @Test func aWalkIsNoUseOfTheKeys() throws {
    try shard.set("k", "v")
    shard.clock.advance(millis: 16_000)
    _ = try bigKeys()
    let request = Ringstore_V1_InspectRequest.with { $0.key = Data("k".utf8) }
    let found: Ringstore_V1_InspectResponse = try shard.call(.inspect, request)
    #expect(found.idleMillis == 16_000)
  }
}

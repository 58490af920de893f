// Stats, Shutdown, DbSize, Reset and Describe: every shard is asked.

import Commands
import NIOCore
import NodeCore
import Placement
import ProtobufMessages
import RingstoreAPI
import SwiftProtobuf
import Testing

@Suite struct EveryShardTests {
  private let away = CallError.shardUnavailable("s1", "gone")

  private func stats(_ counters: [String: Int64]) -> ByteBuffer {
    var reply = ByteBuffer()
    for (name, value) in counters { reply.writeCounter(name, value) }
    return reply
  }

  @Test func countersOfTheShardsAreAddedUpTheNodesOwnStandBesideThem() throws {
    let port = FakePort(shards: 3)
    port.nodeCounters = ["ringstore_router_calls_total": 9]
    port.respond = { .success(stats(["ringstore_keys": 10 + Int64($0.shard)])) }
    let run = try OperationRun(.stats, Ringstore_V1_StatsRequest(), on: port)
    port.runAll()
    let expected: [String: Int64] = [
      "ringstore_keys": 33, "ringstore_router_calls_total": 9, "ringstore_shards": 3,
      "ringstore_shards_unreachable": 0,
    ]
    #expect(try run.reply(Ringstore_V1_StatsResponse.self).counters == expected)
  }

  @Test func aShardAwayIsMissingFromTheSumsAndCounted() throws {
    let port = FakePort(shards: 3)
    port.respond = { _ in .success(stats(["ringstore_keys": 10])) }
    let run = try OperationRun(.stats, Ringstore_V1_StatsRequest(), on: port)
    port.fail(1, away)
    port.runAll()
    let counters = try run.reply(Ringstore_V1_StatsResponse.self).counters
    #expect(counters["ringstore_keys"] == 20 && counters["ringstore_shards_unreachable"] == 1)
  }

  @Test func aNodeCountsCallsByNameSlicesAndErrors() {
    var counters = NodeCounters()
    for _ in 0..<3 { counters.called(2) }
    counters.called(UInt32(CommandID.scan.rawValue))
    counters.called(InternalMethod.keysPart.rawValue)
    for nonsense: UInt32 in [0, 63, 127, 128, 999, 5_000, .max] { counters.called(nonsense) }
    counters.failed(CallError(.wrongType, ""))
    let entries = counters.entries(prefix: NodeCounters.shardPrefix)
    #expect(entries["ringstore_calls_get_total"] == 3 && entries["ringstore_calls_total"] == 4)
    #expect(entries["ringstore_calls_scan_total"] == 1 && entries["ringstore_slices_total"] == 1)
    #expect(entries["ringstore_errors_total"] == 1 && entries["ringstore_calls_set_total"] == 0)
    #expect(entries.count == CommandTable.all.count + 3)
    let router = counters.entries(prefix: NodeCounters.routerPrefix)
    #expect(router["ringstore_router_calls_total"] == 4)
    #expect(router["ringstore_router_slices_total"] == nil)
  }

  @Test func aShutdownOfOneNodeSendsNothingToOthers() throws {
    for servesCluster in [true, false] {
      let port = FakePort(shards: 3)
      port.servesCluster = servesCluster
      let run = try OperationRun(.shutdown, Ringstore_V1_ShutdownRequest(), on: port)
      #expect(port.sent.isEmpty && port.nodeHasEnded)
      #expect(try run.reply(Ringstore_V1_ShutdownResponse.self) == .init())
    }
  }

  @Test func aShutdownOfOneShardAsksThatOneAndTheRouterStays() throws {
    let port = FakePort(shards: 3)
    let request = Ringstore_V1_ShutdownRequest.with { $0.node = "s1" }
    let run = try OperationRun(.shutdown, request, on: port)
    port.runAll()
    #expect(port.sent.map(\.shard) == [1] && !port.nodeHasEnded)
    _ = try run.reply(Ringstore_V1_ShutdownResponse.self)
  }

  @Test func countersOfOneNodeAreRequestedFromThatOneAlone() throws {
    for (node, asked) in [("s1", [1]), ("router", [])] {
      let port = FakePort(shards: 2)
      port.nodeCounters = ["own": 1]
      port.respond = { _ in .success(self.stats(["calls": 5])) }
      let request = Ringstore_V1_StatsRequest.with { $0.node = node }
      let run = try OperationRun(.stats, request, on: port)
      port.runAll()
      let counters = try run.reply(Ringstore_V1_StatsResponse.self).counters
      #expect(port.sent.map(\.shard) == asked)
      #expect(counters["calls"] == (asked.isEmpty ? nil : 5))
      #expect(counters["own"] == (asked.isEmpty ? 1 : nil))
    }
  }

  @Test func aShutdownOfTheClusterEndsEveryShardBeforeTheRouter() throws {
    let port = FakePort(shards: 3)
    let request = Ringstore_V1_ShutdownRequest.with { $0.wholeCluster = true }
    let run = try OperationRun(.shutdown, request, on: port)
    #expect(port.sent.map(\.part.method) == Array(repeating: 70, count: 3))
    while !port.waiting.isEmpty {
      #expect(!port.nodeHasEnded)
      port.run(0)
    }
    #expect(port.nodeHasEnded && run.error == nil)
  }

  @Test func oneShardThatCannotBeReachedFailsItAfterTheOthersWereStoppedAndTheRouterStays()
    throws
  {
    let port = FakePort(shards: 3)
    let request = Ringstore_V1_ShutdownRequest.with { $0.wholeCluster = true }
    let run = try OperationRun(.shutdown, request, on: port)
    port.fail(1, away)
    #expect(!port.hasEnded)
    port.runAll()
    #expect(run.error == away && !port.nodeHasEnded)
    let alone = FakePort(shards: 1)
    alone.servesCluster = false
    let refused = try OperationRun(.shutdown, request, on: alone)
    #expect(refused.error?.code == .failedPrecondition && !alone.nodeHasEnded)
    #expect(throws: CallError.unknownField) {
      try OperationRun(.shutdown, [0x78, 1], on: FakePort(shards: 1))
    }
  }

  @Test func aResetContinuesSliceBySliceUntilEveryShardIsDone() throws {
    let port = FakePort(shards: 2)
    port.respond = { call in
      let request = call.request.withUnsafeBytes { try? LinkV1.ResetPartRequest($0) }
      let next = (request?.startSlot ?? 0) + 4_096
      var reply = ByteBuffer()
      LinkV1.ResetPartReply(removed: 10, nextSlot: next, done: next == 16_384)
        .write(into: &reply)
      return .success(reply)
    }
    let run = try OperationRun(
      .reset, Ringstore_V1_ResetRequest.with { $0.allDatabases = true }, on: port)
    port.runAll()
    #expect(try run.reply(Ringstore_V1_ResetResponse.self).keysRemoved == 80)
    #expect(port.sent.count == 8 && port.sent.allSatisfy { $0.part.isWrite })
  }

  @Test func sizesAreAddedUpOfTheRequestedDatabase() throws {
    let port = FakePort(shards: 2)
    port.respond = { call in
      let view = call.request.withUnsafeBytes { try? V1.DbSizeRequest($0) }
      var reply = ByteBuffer()
      V1.DbSizeResponse(keys: view?.database == 3 ? 7 : -1).write(into: &reply)
      return .success(reply)
    }
    let request = Ringstore_V1_DbSizeRequest.with { ($0.database, $0.allowPartial) = (3, true) }
    let run = try OperationRun(.dbSize, request, on: port)
    port.fail(1, away)
    port.runAll()
    let reply = try run.reply(Ringstore_V1_DbSizeResponse.self)
    #expect(reply.keys == 7 && reply.unreachable.map(\.shard) == ["s1"])
  }

  @Test func theSizeOfAllDatabasesNeedsNoDatabase() throws {
    let port = FakePort(shards: 1)
    port.respond = { call in
      let view = call.request.withUnsafeBytes { try? V1.DbSizeRequest($0) }
      var reply = ByteBuffer()
      V1.DbSizeResponse(keys: view?.database == 0 && view?.allDatabases == true ? 7 : -1)
        .write(into: &reply)
      return .success(reply)
    }
    let request = Ringstore_V1_DbSizeRequest.with { ($0.database, $0.allDatabases) = (99, true) }
    let run = try OperationRun(.dbSize, request, on: port)
    port.runAll()
    #expect(try run.reply(Ringstore_V1_DbSizeResponse.self).keys == 7)
  }

  /// Draws of a fixed seed: the check can't fail by bad luck.
  @Test func aKeyByLotIsAShardsAsOftenAsItHasKeys() throws {
    let keys: [Int64] = [0, 100, 300]
    let part: (FakePort.Sent) -> Result<ByteBuffer, CallError> = { call in
      var reply = ByteBuffer()
      [UInt8(call.shard)].withUnsafeBytes {
        LinkV1.RandomKeyPartReply(key: $0, found: call.shard > 0, keys: keys[call.shard])
          .write(into: &reply)
      }
      return .success(reply)
    }
    var counts = [0, 0, 0]
    for number in 0..<2_000 {
      let port = FakePort(shards: 3)
      port.respond = part
      port.random = SplitMix64(seed: UInt64(number))
      let run = try OperationRun(.randomKey, Ringstore_V1_RandomKeyRequest(), on: port)
      port.runAll()
      let reply = try run.reply(Ringstore_V1_RandomKeyResponse.self)
      #expect(reply.found)
      counts[Int(reply.key[0])] += 1
    }
    #expect(counts[0] == 0 && (1_400...1_600).contains(counts[2]))
  }

  @Test func aShardThatHasDrawnKeysThatWereDueIsQueriedAgainAndNoneIsNoKey() throws {
    let port = FakePort(shards: 2)
    var asked = 0
    port.respond = { call in
      asked += 1
      var reply = ByteBuffer()
      LinkV1.RandomKeyPartReply(again: call.shard == 1 && asked < 6).write(into: &reply)
      return .success(reply)
    }
    let run = try OperationRun(.randomKey, Ringstore_V1_RandomKeyRequest(), on: port)
    port.runAll()
    #expect(try !run.reply(Ringstore_V1_RandomKeyResponse.self).found)
    #expect(asked >= 6 && Set(port.sent.map(\.request)).count == asked, "each draw has its own lot")
    let wrong = Ringstore_V1_RandomKeyRequest.with { $0.database = 99 }
    #expect(try OperationRun.refusal(.randomKey, wrong)?.reason == .noSuchDatabase)
    let lost = FakePort(shards: 2)
    let failed = try OperationRun(.randomKey, Ringstore_V1_RandomKeyRequest(), on: lost)
    lost.fail(1, away)
    #expect(failed.error == away, "no shard is passed over in silence")
  }

  @Test func aShardAwayIsDescribedAsSuch() throws {
    let port = FakePort(shards: 2)
    port.respond = { call in
      let node = Ringstore_V1_Node.with { ($0.id, $0.state) = ("s\(call.shard)", .serving) }
      return .success(ByteBuffer(bytes: (try? node.serializedBytes() as [UInt8]) ?? []))
    }
    let run = try OperationRun(.describe, Ringstore_V1_DescribeRequest(), on: port)
    port.fail(1, away)
    port.runAll()
    let nodes = try run.reply(Ringstore_V1_DescribeResponse.self).nodes
    #expect(nodes.map(\.id) == ["s0", "s1"] && nodes.map(\.state) == [.serving, .unreachable])
  }

  @Test func theMapIsDescribedAsItIsHoweverOftenItWasDescribedBefore() throws {
    let shards = (0..<3).map { ShardDescription(id: "s\($0)", address: "h:\($0)") }
    let map = try SlotMap.initial(shards)
    let other = map.readdressed(by: [ShardDescription(id: "s1", address: "elsewhere:1")])
    var lineages = LineageRecords()
    let encoded = EncodedSlotMap()
    func described(_ map: SlotMap) throws -> Ringstore_V1_SlotMap {
      let merge = DescribeMerge(
        cluster: "c", map: map, lineages, in: encoded, router: nil, shardIDs: [])
      let bytes = Array(merge.reply().readableBytesView)
      return try Ringstore_V1_DescribeResponse(serializedBytes: bytes).map
    }
    let first = try described(map)
    #expect(first.shards.map(\.address) == ["h:0", "h:1", "h:2"] && first.ranges.count > 100)
    #expect(try described(map) == first)
    #expect(try described(other).shards.map(\.address) == ["h:0", "elsewhere:1", "h:2"])
    lineages.note(DataLineage(high: 1, low: 2), of: "s1")
    #expect(try described(other).shards[1].hasLineage)
    #expect(try described(map).ranges == first.ranges)
  }

  @Test func everyCallThatIsMadeOfPartsIsMadeAndNoOther() throws {
    let made: Set<CommandID> = [
      .mGet, .mSet, .mDelete, .mExists, .mTouch, .mLRange, .keys, .scan, .dbSize, .randomKey,
      .reset, .describe, .stats, .hotKeys, .bigKeys, .shutdown, .snapshot, .digest, .backup,
      .clients, .killClient, .logLevel, .slowLog, .config,
    ]
    for id in CommandTable.all.map(\.id) {
      let run = try? OperationRun(id, [], on: FakePort(shards: 1))
      #expect((run != nil) == made.contains(id), "\(id)")
    }
  }
}

@Suite struct FieldlessRequestTests {
  private func make(_ id: CommandID, _ bytes: [UInt8]) throws {
    _ = try bytes.withUnsafeBytes { message in
      try OperationFactory.make(
        id, message: message, CallContext(), limits: Limits(),
        describe: { DescribeMerge(cluster: "c", map: nil, router: nil, shardIDs: []) })
    }
  }

  @Test(arguments: [CommandID.describe, .stats])
  func whatIsNoMessageIsRefusedFieldsOfANewerVersionAreNot(_ id: CommandID) throws {
    try make(id, [])
    try make(id, [0x78, 1])
    for bytes in [[0xff], [0x0a, 5, 1], [7]] as [[UInt8]] {
      let error = #expect(throws: CallError.self) { try make(id, bytes) }
      #expect(error?.code == .internal)
    }
  }
}

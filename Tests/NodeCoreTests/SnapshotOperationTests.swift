// Snapshot: what the caller hears while the shards write, and what one that fails does to the call.

import Commands
import NIOCore
import NodeCore
import ProtobufMessages
import RingstoreAPI
import Testing

@Suite struct SnapshotOperationTests {
  private let port = FakePort(shards: 2)

  private func start() throws -> OperationRun {
    try OperationRun(.snapshot, Ringstore_V1_SnapshotRequest(), on: port)
  }

  /// What the shards reply from now on.
  private func shardsSay(pass: UInt64, complete: Bool, keysDone: Int64 = 0) {
    port.respond = { call in
      var reply = ByteBuffer()
      var shard = "s\(call.shard)"
      shard.withUTF8 { id in
        LinkV1.SnapshotPartReply(
          pass: pass,
          progress: V1.ShardSnapshot(
            shard: UnsafeRawBufferPointer(id), complete: complete, keysDone: keysDone, keys: 10)
        ).write(into: &reply)
      }
      return .success(reply)
    }
  }

  private func messages() throws -> [Ringstore_V1_SnapshotProgress] {
    try port.messages.map { try Ringstore_V1_SnapshotProgress(serializedBytes: $0.array) }
  }

  @Test func itEndsWhenEveryShardIsCompleteAndTellsHowFarTheyAreUntilThen() throws {
    let run = try start()
    #expect(port.sent.map(\.part.method) == [74, 74])
    shardsSay(pass: 5, complete: false, keysDone: 3)
    port.run(0)
    port.run(0)
    #expect(try messages().map(\.shards.count) == [1, 2])
    #expect(try messages()[1].shards.map(\.keysDone) == [3, 3])
    let asked = try port.waiting.map { call in
      try call.request.withUnsafeBytes { try LinkV1.SnapshotPartRequest($0).pass }
    }
    #expect(asked == [5, 5], "they ask for the pass that counts for the call")
    shardsSay(pass: 5, complete: true, keysDone: 10)
    port.run(0)
    #expect(!port.hasEnded && port.waiting.count == 1)
    port.run(0)
    #expect(port.hasEnded && run.error == nil)
    #expect(try messages().last?.shards.allSatisfy(\.complete) == true)
  }

  @Test func aShardThatFailsIsReportedAtTheEndWhenTheOthersAreComplete() throws {
    let run = try start()
    let full = CallError(.diskFull, "full", shard: "s0")
    port.fail(0, full)
    #expect(!port.hasEnded)
    shardsSay(pass: 1, complete: true)
    port.runAll()
    #expect(run.error == full)
    #expect(try messages().last?.shards.map(\.shard) == ["s1"])
  }

  @Test func aCallerThatIsSlowGetsTheNewestOfWhatThereWasToTell() throws {
    port.roomForMessages = 1
    let run = try start()
    shardsSay(pass: 1, complete: false, keysDone: 1)
    for _ in 0..<6 { port.run(0) }
    #expect(port.messages.count == 1)
    shardsSay(pass: 1, complete: true, keysDone: 9)
    port.runAll()
    #expect(!port.hasEnded)
    port.roomForMessages = 5
    run.running.fanout.callerTakesMore()
    #expect(port.hasEnded && port.messages.count == 2)
    #expect(try messages()[1].shards.map(\.keysDone) == [9, 9])
  }

  @Test func aFieldThatIsNotKnownIsRefused() throws {
    #expect(throws: CallError.unknownField) {
      try OperationRun(.snapshot, [0x78, 1], on: FakePort(shards: 1))
    }
  }
}

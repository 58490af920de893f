// Backup: pieces of all shards side by side, as fast as the caller takes them.

import Commands
import Foundation
import NIOCore
import NodeCore
import ProtobufMessages
import RingstoreAPI
import Testing

@Suite struct BackupOperationTests {
  private let port = FakePort(shards: 2)

  private func start() throws -> OperationRun {
    try OperationRun(.backup, Ringstore_V1_BackupRequest(), on: port)
  }

  /// Each shard has so many pieces.
  private func shardsHave(_ pieces: Int) {
    var told: [Int: Int] = [:]
    port.respond = { call in
      let asked = call.request.withUnsafeBytes { try? LinkV1.BackupPartRequest($0) }
      let count = told[call.shard, default: 0]
      guard asked?.backup == (count == 0 ? 0 : 7) else { return .failure(.cancelled) }
      told[call.shard] = count + 1
      var reply = ByteBuffer()
      var data = "s\(call.shard)/\(count);"
      data.withUTF8 { data in
        LinkV1.BackupPartReply(
          backup: 7,
          piece: V1.BackupPiece(
            file: .pass, data: UnsafeRawBufferPointer(data), complete: count + 1 == pieces)
        ).write(into: &reply)
      }
      return .success(reply)
    }
  }

  private func texts() throws -> [String] {
    try port.messages.map {
      String(decoding: try Ringstore_V1_BackupPiece(serializedBytes: $0.array).data, as: UTF8.self)
    }
  }

  @Test func everyPieceOfEveryShardComesInItsOrder() throws {
    shardsHave(3)
    let run = try start()
    port.runAll()
    #expect(port.hasEnded && run.error == nil)
    let all = try texts()
    for shard in 0..<2 {
      #expect(all.filter { $0.hasPrefix("s\(shard)") } == (0..<3).map { "s\(shard)/\($0);" })
    }
    #expect(all.count == 6 && port.sent.allSatisfy { $0.part.lane == .bulk && !$0.part.isWrite })
  }

  @Test func whileTheCallerReadsNothingEachShardSendsOnePiece() throws {
    shardsHave(4)
    port.roomForMessages = 0
    let run = try start()
    port.runAll()
    #expect(port.sent.count == 2 && port.messages.isEmpty)
    port.roomForMessages = 1
    run.running.fanout.callerTakesMore()
    port.runAll()
    #expect(port.sent.count == 3 && port.messages.count == 1)
    port.roomForMessages = 100
    run.running.fanout.callerTakesMore()
    port.runAll()
    #expect(port.hasEnded && port.messages.count == 8)
  }

  @Test func aShardThatIsLostEndsIt() throws {
    shardsHave(4)
    let run = try start()
    port.run(0)
    port.fail(0, .shardUnavailable("s1", "gone"))
    #expect(run.error?.reason == .shardUnavailable)
  }

  @Test func oneInWhichShardsWereAddedIsRefusedAtItsEnd() throws {
    shardsHave(2)
    let run = try start()
    port.run(0)
    port.addShard()
    port.runAll()
    #expect(run.error?.reason == .mapConflict)
  }
}

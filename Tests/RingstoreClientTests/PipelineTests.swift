// Pipelines: batches are cut within bounds, outcomes come back in the order of the commands, and
// what a broken stream leaves open is told apart from what never ran.

import GRPC
import NIOCore
import RingstoreAPI
import RingstoreClient
import Testing

@Suite struct PipelineTests {
  @Test func outcomesStandInTheOrderOfTheCommands() async throws {
    try await TestCluster.withRouter { client in
      let sets = (0..<1_000).map { RingstoreCommand.set("k\($0)", to: "v\($0)") }
      for outcome in await client.pipeline(sets, batchSize: 64) {
        #expect(throws: Never.self) { try outcome.value() }
      }
      let gets = (0..<1_000).map { RingstoreCommand.get("k\($0)") }
      let values = await client.pipeline(gets, batchSize: 33)
      for (number, outcome) in values.enumerated() {
        let reply = try outcome.value()
        #expect(reply == .value(Array("v\(number)".utf8)))
      }
    }
  }

  @Test func commandsOnOneKeyRunInTheOrderGiven() async throws {
    try await TestCluster.withRouter { client in
      let pushes = (0..<300).map { RingstoreCommand.rPush("l", ["\($0)"]) }
      let outcomes = await client.pipeline(pushes, batchSize: 7)
      for (place, outcome) in outcomes.enumerated() {
        guard case .status(let status) = try outcome.value() else {
          Issue.record("no status at \(place)")
          continue
        }
        #expect(status.count == place + 1)
      }
      let expected = (0..<300).map { Array("\($0)".utf8) }
      #expect(try await client.lRange("l").values == expected)
    }
  }

  @Test func oneFailureDoesNotTouchTheOthers() async throws {
    try await TestCluster.withRouter { client in
      let outcomes = await client.pipeline([
        .set("s", to: "text"), .lPop("s"), .get("s"), .incrBy("n", 5), .type("s"), .lLen("none"),
        .get(""),
      ])
      #expect(outcomes.map(\.reason) == [nil, .wrongType, nil, nil, nil, nil, .invalidKey])
      let replies = try outcomes[2...4].map { try $0.value() }
      #expect(replies == [.value(Array("text".utf8)), .integer(5), .type(.string)])
    }
  }

  @Test func largeValuesPassInBothDirections() async throws {
    try await TestCluster.withRouter { client in
      let value = [UInt8](repeating: 1, count: 300_000)
      let sets = (0..<30).map { RingstoreCommand.set("big\($0)", to: value) }
      let gets = (0..<30).map { RingstoreCommand.get("big\($0)") }
      let outcomes = await client.pipeline(sets + gets)
      #expect(outcomes.count { if case .success(.value(value)) = $0 { true } else { false } } == 30)
    }
  }

  @Test func anEmptyPipelineAsksNobody() async {
    let nobody = RingstoreClient(host: "127.0.0.1", port: 1)
    #expect(await nobody.pipeline([]).isEmpty)
    nobody.close()
  }

  @Test func withoutAServerNothingHasRun() async {
    let nobody = RingstoreClient(host: "127.0.0.1", port: 1)
    let outcomes = await nobody.pipeline([.set("k", to: "v"), .get("k")])
    for outcome in outcomes {
      guard case .failure(let error) = outcome else {
        Issue.record("an answer from nobody")
        continue
      }
      #expect(error.code == .unavailable)
      #expect(!error.isOutcomeUnknown)
    }
    #expect(outcomes.count == 2)
    nobody.close()
  }

  // MARK: The parts

  @Test func batchesAreBoundedInCountAndBytes() throws {
    let small = PipelineBatches(
      commands: (0..<10).map { .get("k\($0)") }, countMax: 4, database: 0)
    #expect(ends(small) == [4, 8, 10])
    let value = [UInt8](repeating: 0, count: 400_000)
    let large = PipelineBatches(
      commands: (0..<5).map { .set("k\($0)", to: value) }, countMax: 100, database: 0)
    #expect(ends(large) == [2, 4, 5])
    let huge = [UInt8](repeating: 0, count: PipelineBatches.bytesMax * 2)
    let alone = PipelineBatches(
      commands: [.set("a", to: huge), .get("b")], countMax: 100, database: 0)
    #expect(ends(alone) == [1, 2])
  }

  private func ends(_ batches: PipelineBatches) -> [Int] {
    var ends: [Int] = []
    while let batch = batches.next(after: ends.last ?? 0) { ends.append(batch.end) }
    return ends
  }

  @Test func onlyWritesThatWereHandedOverAreInDoubt() {
    var outcomes = PipelineOutcomes([
      .set("a", to: "1"), .set("b", to: "2"), .get("c"), .set("d", to: "3"),
    ])
    var replies = ByteBuffer()
    let mark = replies.beginReply(.pipeline, id: 1)
    replies.writeStatus(ok: true, version: 9)
    replies.endReply(mark)
    let isTaken = replies.withUnsafeReadableBytes { outcomes.take($0) }
    #expect(isTaken)
    let ended = outcomes.finish(
      RPCStatus(.unavailable, "gone"), sentCount: 3, mayHaveRun: true)
    #expect((try? ended[0].value()) == .status(RingstoreStatus(count: 0, version: 9)))
    let doubts = ended.dropFirst().map { outcome in
      if case .failure(let error) = outcome { error.isOutcomeUnknown } else { false }
    }
    #expect(doubts == [true, false, false])
  }

  @Test func repliesToNobodyAreRefused() {
    var outcomes = PipelineOutcomes([.get("a")])
    for id: UInt64 in [0, 2, .max] {
      var replies = ByteBuffer()
      let mark = replies.beginReply(.pipeline, id: id)
      replies.endReply(mark)
      let isTaken = replies.withUnsafeReadableBytes { outcomes.take($0) }
      #expect(!isTaken, "id \(id)")
    }
    let isTaken = [0x0a, 0x05] as [UInt8]
    #expect(!isTaken.withUnsafeBytes { outcomes.take($0) })
  }
}

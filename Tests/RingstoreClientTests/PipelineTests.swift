// Pipelines: batches are cut within bounds, outcomes come back in the order of the commands, and
// what a broken stream leaves open is told apart from what never ran.

import GRPC
import NIOCore
import RingstoreAPI
import RingstoreClient
import Testing

@Suite(.timeLimit(.minutes(15))) struct PipelineTests {
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
        #expect(reply.bytes == Array("v\(number)".utf8))
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
      #expect(
        replies[0].bytes == Array("text".utf8) && replies[1...] == [.integer(5), .type(.string)])
    }
  }

  @Test func largeValuesPassInBothDirections() async throws {
    try await TestCluster.withRouter { client in
      let value = [UInt8](repeating: 1, count: 300_000)
      let sets = (0..<30).map { RingstoreCommand.set("big\($0)", to: value) }
      let gets = (0..<30).map { RingstoreCommand.get("big\($0)") }
      let outcomes = await client.pipeline(sets + gets)
      #expect(outcomes.count { (try? $0.get())?.bytes == value } == 30)
    }
  }

  @Test func anEmptyPipelineSendsNothing() async {
    let unreachable = RingstoreClient(host: "127.0.0.1", port: 1, configuration: .patient)
    #expect(await unreachable.pipeline([]).isEmpty)
    unreachable.close()
  }

  @Test func withoutAServerNothingHasRun() async {
    let unreachable = RingstoreClient(host: "127.0.0.1", port: 1, configuration: .patient)
    let outcomes = await unreachable.pipeline([.set("k", to: "v"), .get("k")])
    for outcome in outcomes {
      guard case .failure(let error) = outcome else {
        Issue.record("a reply without a server")
        continue
      }
      #expect(error.code == .unavailable)
      #expect(!error.isOutcomeUnknown)
    }
    #expect(outcomes.count == 2)
    unreachable.close()
  }
}

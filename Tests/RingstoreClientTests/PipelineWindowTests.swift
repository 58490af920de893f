// What a pipeline keeps: batches within bounds, and outcomes as answers and ends make them.

import GRPC
import NIOCore
import RingstoreAPI
import RingstoreClient
import Testing

@Suite struct PipelineWindowTests {
  private func window(
    unansweredMax: Int = 100, batchCountMax: Int = 100, requestBytesMax: Int = 4 << 20
  ) -> PipelineWindow {
    var limits = PipelineLimits(requestBytesMax: requestBytesMax)
    limits.unansweredMax = unansweredMax
    limits.batchCountMax = batchCountMax
    limits.timeoutMillis = 250
    return PipelineWindow(limits)
  }

  private func request(_ command: RingstoreCommand) -> ByteBuffer {
    var request = ByteBuffer()
    command.writeRequest(database: 0, into: &request)
    return request
  }

  @Test func aBatchIsBoundedInCountAndBytes() {
    var counted = window(batchCountMax: 4)
    for number in 0..<4 {
      #expect(counted.hasRoom)
      counted.add(V1.KeyStore.get, request: request(.get("k\(number)")))
    }
    #expect(!counted.hasRoom)
    #expect(counted.takeBatch() != nil)
    #expect(counted.hasRoom)
    #expect(counted.takeBatch() == nil)

    var large = window()
    let value = [UInt8](repeating: 0, count: PipelineLimits.batchBytesMax / 2 + 1)
    large.add(V1.KeyStore.set, request: request(.set("a", to: value)))
    #expect(large.hasRoom)
    large.add(V1.KeyStore.set, request: request(.set("b", to: value)))
    #expect(!large.hasRoom)
  }

  @Test func commandsWithoutATakenOutcomeAreBounded() {
    var window = window(unansweredMax: 2)
    window.add(V1.KeyStore.get, request: request(.get("a")))
    window.add(V1.KeyStore.get, request: request(.get("b")))
    #expect(!window.hasRoom)
    _ = window.takeBatch()
    #expect(!window.hasRoom)
    window.finish(RPCStatus(.unavailable, "gone"), mayHaveRun: true)
    #expect(!window.hasRoom)
    #expect(window.popOutcome() != nil)
    #expect(window.hasRoom)
  }

  @Test func everyCallCarriesItsDeadlineAndItsPlace() throws {
    var window = window()
    window.add(V1.KeyStore.get, request: request(.get("a")))
    window.add(V1.KeyStore.lLen, request: request(.lLen("b")))
    let taken = window.takeBatch()
    let batch = try #require(taken)
    let calls = batch.withUnsafeReadableBytes { bytes in
      (try? V1.CallBatch(bytes))?.calls.map {
        [$0.id, UInt64($0.methodNumber), UInt64($0.timeoutMillis)]
      }
    }
    #expect(calls == [[1, 2, 250], [2, 9, 250]])
  }

  @Test func onlyWritesThatWereTakenToBeSentAreInDoubt() {
    var window = window()
    let commands: [RingstoreCommand] = [.set("a", to: "1"), .get("b"), .set("c", to: "2")]
    for command in commands { window.add(command.rpc, request: request(command)) }
    _ = window.takeBatch()
    #expect(window.oldestUnanswered == 1)
    window.add(V1.KeyStore.set, request: request(.set("d", to: "3")))
    window.finish(RPCStatus(.unavailable, "gone"), mayHaveRun: true)
    window.add(V1.KeyStore.set, request: request(.set("e", to: "4")))
    #expect(doubts(&window) == [true, false, true, false, false])
    #expect(window.isEmpty)

    var unsent = self.window()
    unsent.add(V1.KeyStore.set, request: request(.set("a", to: "1")))
    _ = unsent.takeBatch()
    unsent.finish(RPCStatus(.unavailable, "refused"), mayHaveRun: false)
    #expect(doubts(&unsent) == [false])
  }

  private func doubts(_ window: inout PipelineWindow) -> [Bool] {
    var doubts: [Bool] = []
    while let outcome = window.popOutcome() {
      if case .failure(let error) = outcome { doubts.append(error.isOutcomeUnknown) }
    }
    return doubts
  }

  @Test func anAnswerIsTakenOnce() {
    var window = window()
    window.add(V1.KeyStore.get, request: request(.get("a")))
    #expect(!take(&window, id: 1), "it was not sent yet")
    _ = window.takeBatch()
    #expect(take(&window, id: 1))
    #expect(!take(&window, id: 1))
    #expect(window.popOutcome() != nil)
    #expect(!take(&window, id: 1))
    #expect(!take(&window, id: 2))
  }

  private func take(_ window: inout PipelineWindow, id: UInt64, bytes: Int = 0) -> Bool {
    var replies = ByteBuffer()
    let mark = replies.beginReply(.pipeline, id: id)
    if bytes > 0 {
      [UInt8](repeating: 1, count: bytes).withUnsafeBytes {
        V1.Value(value: $0, found: true, version: 1).write(into: &replies)
      }
    }
    replies.endReply(mark)
    return replies.withUnsafeReadableBytes { window.take($0) }
  }

  @Test func aFewAnswersAreReadAheadOfTheReader() {
    var window = window()
    window.add(V1.KeyStore.get, request: request(.get("a")))
    window.add(V1.KeyStore.get, request: request(.get("b")))
    _ = window.takeBatch()
    #expect(window.wantsReplies)
    #expect(take(&window, id: 1, bytes: PipelineLimits.readAheadBytes))
    #expect(!window.wantsReplies)
    #expect(window.popOutcome() != nil)
    #expect(window.wantsReplies)
    #expect(take(&window, id: 2))
    #expect(window.wantsReplies)
  }

  @Test func answersBehindAMissingOneAreBounded() {
    var window = window()
    for key in ["a", "b"] { window.add(V1.KeyStore.get, request: request(.get(key))) }
    _ = window.takeBatch()
    #expect(take(&window, id: 2, bytes: PipelineLimits.heldBytesMax))
    #expect(!window.hasRoom)
    // The missing one must be read all the same, or nothing would ever go on.
    #expect(window.wantsReplies)
    #expect(take(&window, id: 1))
    #expect(window.popOutcome() != nil)
    #expect(window.popOutcome() != nil)
    #expect(window.hasRoom)
  }

  @Test func whatCanNotBeDecodedIsRefused() {
    var window = window()
    let isTaken = ([0x0a, 0x05] as [UInt8]).withUnsafeBytes { window.take($0) }
    #expect(!isTaken)
  }
}

// What a pipeline keeps: batches within bounds, and outcomes as replies and ends make them.

import GRPC
import NIOCore
import RingstoreAPI
import RingstoreClient
import Testing

@Suite struct PipelineQueueTests {
  private func queue(
    pendingMax: Int = 100, batchCountMax: Int = 100, requestBytesMax: Int = 4 << 20
  ) -> PipelineQueue {
    var limits = PipelineLimits(requestBytesMax: requestBytesMax)
    limits.pendingMax = pendingMax
    limits.batchCountMax = batchCountMax
    limits.timeoutMillis = 250
    return PipelineQueue(limits)
  }

  private func request(_ command: RingstoreCommand) -> ByteBuffer {
    var request = ByteBuffer()
    command.writeRequest(database: 0, into: &request)
    return request
  }

  @Test func aBatchIsBoundedInCountAndBytes() {
    var counted = queue(batchCountMax: 4)
    for number in 0..<4 {
      #expect(counted.hasRoom)
      counted.add(V1.KeyStore.get, request: request(.get("k\(number)")))
    }
    #expect(!counted.hasRoom)
    #expect(counted.takeBatch() != nil)
    #expect(counted.hasRoom)
    #expect(counted.takeBatch() == nil)

    var large = queue()
    let value = [UInt8](repeating: 0, count: PipelineLimits.batchBytesMax / 2 + 1)
    large.add(V1.KeyStore.set, request: request(.set("a", to: value)))
    #expect(large.hasRoom)
    large.add(V1.KeyStore.set, request: request(.set("b", to: value)))
    #expect(!large.hasRoom)
  }

  @Test func commandsWithoutATakenOutcomeAreBounded() {
    var queue = queue(pendingMax: 2)
    queue.add(V1.KeyStore.get, request: request(.get("a")))
    queue.add(V1.KeyStore.get, request: request(.get("b")))
    #expect(!queue.hasRoom)
    _ = queue.takeBatch()
    #expect(!queue.hasRoom)
    queue.finish(RPCStatus(.unavailable, "gone"), mayHaveRun: true)
    #expect(!queue.hasRoom)
    #expect(queue.popOutcome() != nil)
    #expect(queue.hasRoom)
  }

  @Test func everyCallCarriesItsDeadlineAndItsPlace() throws {
    var queue = queue()
    queue.add(V1.KeyStore.get, request: request(.get("a")))
    queue.add(V1.KeyStore.lLen, request: request(.lLen("b")))
    let taken = queue.takeBatch()
    let batch = try #require(taken)
    let calls = batch.withUnsafeReadableBytes { bytes in
      (try? V1.CallBatch(bytes))?.calls.map {
        [$0.id, UInt64($0.methodNumber), UInt64($0.timeoutMillis)]
      }
    }
    #expect(calls == [[1, 2, 250], [2, 9, 250]])
  }

  @Test func onlyWritesThatWereTakenToBeSentAreInDoubt() {
    var queue = queue()
    let commands: [RingstoreCommand] = [.set("a", to: "1"), .get("b"), .set("c", to: "2")]
    for command in commands { queue.add(command.rpc, request: request(command)) }
    _ = queue.takeBatch()
    #expect(queue.oldestPending == 1)
    queue.add(V1.KeyStore.set, request: request(.set("d", to: "3")))
    queue.finish(RPCStatus(.unavailable, "gone"), mayHaveRun: true)
    queue.add(V1.KeyStore.set, request: request(.set("e", to: "4")))
    #expect(doubts(&queue) == [true, false, true, false, false])
    #expect(queue.isEmpty)

    var unsent = self.queue()
    unsent.add(V1.KeyStore.set, request: request(.set("a", to: "1")))
    _ = unsent.takeBatch()
    unsent.finish(RPCStatus(.unavailable, "refused"), mayHaveRun: false)
    #expect(doubts(&unsent) == [false])
  }

  private func doubts(_ queue: inout PipelineQueue) -> [Bool] {
    var doubts: [Bool] = []
    while let outcome = queue.popOutcome() {
      if case .failure(let error) = outcome { doubts.append(error.isOutcomeUnknown) }
    }
    return doubts
  }

  @Test func aReplyIsTakenOnce() {
    var queue = queue()
    queue.add(V1.KeyStore.get, request: request(.get("a")))
    #expect(!take(&queue, id: 1), "it was not sent yet")
    _ = queue.takeBatch()
    #expect(take(&queue, id: 1))
    #expect(!take(&queue, id: 1))
    #expect(queue.popOutcome() != nil)
    #expect(!take(&queue, id: 1))
    #expect(!take(&queue, id: 2))
  }

  private func take(_ queue: inout PipelineQueue, id: UInt64, bytes: Int = 0) -> Bool {
    var replies = ByteBuffer()
    let mark = replies.beginReply(.pipeline, id: id)
    if bytes > 0 {
      [UInt8](repeating: 1, count: bytes).withUnsafeBytes {
        V1.Value(value: $0, found: true, version: 1).write(into: &replies)
      }
    }
    replies.endReply(mark)
    return replies.withUnsafeReadableBytes { queue.take($0) }
  }

  @Test func aFewRepliesAreReadAheadOfTheReader() {
    var queue = queue()
    queue.add(V1.KeyStore.get, request: request(.get("a")))
    queue.add(V1.KeyStore.get, request: request(.get("b")))
    _ = queue.takeBatch()
    #expect(queue.wantsReplies)
    #expect(take(&queue, id: 1, bytes: PipelineLimits.readAheadBytes))
    #expect(!queue.wantsReplies)
    #expect(queue.popOutcome() != nil)
    #expect(queue.wantsReplies)
    #expect(take(&queue, id: 2))
    #expect(queue.wantsReplies)
  }

  @Test func repliesBehindAMissingOneAreBounded() {
    var queue = queue()
    for key in ["a", "b"] { queue.add(V1.KeyStore.get, request: request(.get(key))) }
    _ = queue.takeBatch()
    #expect(take(&queue, id: 2, bytes: PipelineLimits.heldBytesMax))
    #expect(!queue.hasRoom)
    // The missing one must still be read, or nothing would continue.
    #expect(queue.wantsReplies)
    #expect(take(&queue, id: 1))
    #expect(queue.popOutcome() != nil)
    #expect(queue.popOutcome() != nil)
    #expect(queue.hasRoom)
  }

  @Test func whatCanNotBeDecodedIsRefused() {
    var queue = queue()
    let isTaken = ([0x0a, 0x05] as [UInt8]).withUnsafeBytes { queue.take($0) }
    #expect(!isTaken)
  }
}

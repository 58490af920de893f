// Pipelines fed by a sequence: commands are pulled only as the reader takes outcomes, each command
// gets one outcome at its place, and what a broken stream leaves open is told apart from what never
// ran.

import GRPC
import NIOCore
import RingstoreAPI
import RingstoreClient
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(15))) struct PipelineStreamTests {
  /// Commands made on demand, which count how many were asked for.
  private struct Commands: AsyncSequence, AsyncIteratorProtocol, Sendable {
    typealias Element = RingstoreCommand

    let count: Int
    let pulled = SharedBox(0)
    var make: @Sendable (Int) -> RingstoreCommand = { .get("k\($0)") }
    /// Told of every command that is asked for.
    var asked: @Sendable (Int) -> Void = { _ in }

    func makeAsyncIterator() -> Commands { self }

    func next() async -> RingstoreCommand? {
      let place = pulled.withLock { pulled in
        defer { pulled += 1 }
        return pulled
      }
      asked(place)
      return place < count ? make(place) : nil
    }
  }

  /// Replies to every call of a batch; `order` says in which order.
  private static func replying(
    order: @escaping @Sendable ([UInt64]) -> [UInt64] = { $0 }
  ) -> NodeScript {
    var script = NodeScript()
    script.streamed = { stream, message in stream.send(replies(to: order(ids(message)))) }
    script.halfClosed = { $0.finish() }
    return script
  }

  private static func ids(_ message: [UInt8]) -> [UInt64] {
    message.withUnsafeBytes { bytes in
      (try? V1.CallBatch(bytes))?.calls.map(\.id) ?? []
    }
  }

  /// Each reply's value is the id of its call.
  private static func replies(to ids: [UInt64]) -> ByteBuffer {
    var replies = ByteBuffer()
    for id in ids {
      let mark = replies.beginReply(.pipeline, id: id)
      Array("\(id)".utf8).withUnsafeBytes {
        V1.Value(value: $0, found: true, version: 1).write(into: &replies)
      }
      replies.endReply(mark)
    }
    return replies
  }

  private func isValue(_ outcome: Result<RingstoreReply, RingstoreError>, _ text: String) -> Bool {
    (try? outcome.get())?.bytes == Array(text.utf8)
  }

  @Test func outcomesComeInTheOrderOfTheCommandsWhateverTheOrderOfTheReplies() async throws {
    let script = Self.replying { $0.reversed() }
    try await ScriptedNode.with(script) { client, _ in
      var place = 0
      for await outcome in client.pipeline(Commands(count: 5_000), pendingMax: 64) {
        place += 1
        #expect(isValue(outcome, "\(place)"))
      }
      #expect(place == 5_000)
    }
  }

  @Test func commandsReachARealClusterOneAfterAnother() async throws {
    try await TestCluster.withRouter { client in
      let pushes = Commands(count: 2_000, make: { .rPush("l\($0 % 3)", ["\($0)"]) })
      var place = 0
      for await outcome in client.pipeline(pushes) {
        let reply = try outcome.value()
        #expect(reply == .status(RingstoreStatus(count: place / 3 + 1, version: version(reply))))
        place += 1
      }
      #expect(place == 2_000)
      let expected = stride(from: 1, to: 2_000, by: 3).map { Array("\($0)".utf8) }
      #expect(try await client.lRange("l1").values == expected)
    }
  }

  private func version(_ reply: RingstoreReply) -> UInt64 {
    if case .status(let status) = reply { status.version } else { 0 }
  }

  @Test func aNextCommandMayDependOnTheLastOutcome() async throws {
    try await TestCluster.withRouter { client in
      let (commands, source) = AsyncStream.makeStream(of: RingstoreCommand.self)
      source.yield(.incrBy("n", 1))
      var sum: Int64 = 0
      for await outcome in client.pipeline(commands) {
        guard case .integer(let value) = try outcome.value() else { break }
        sum = value
        if value < 20 { source.yield(.incrBy("n", 1)) } else { source.finish() }
      }
      #expect(sum == 20)
    }
  }

  // MARK: Back-pressure

  @Test func commandsArePulledOnlyAsOutcomesAreTaken() async throws {
    try await ScriptedNode.with(Self.replying()) { client, _ in
      let commands = Commands(count: 3_000)
      var taken = 0
      for await outcome in client.pipeline(commands, pendingMax: 10) {
        taken += 1
        // One more is pulled before there is room for it.
        #expect(commands.pulled.withLock { $0 } <= taken + 11)
        #expect(isValue(outcome, "\(taken)"))
        if taken % 100 == 0 { _ = try await client.get("k") }
      }
      #expect(taken == 3_000)
    }
  }

  @Test func aNodeThatDoesNotReplyStopsThePulling() async throws {
    let (full, isFull) = AsyncStream.makeStream(of: Void.self)
    var script = NodeScript()
    script.streamed = { _, _ in }
    try await ScriptedNode.with(script) { client, _ in
      let commands = Commands(count: 1_000, asked: { if $0 == 8 { isFull.yield() } })
      let reader = Task { () -> Int in
        var outcomes = 0
        for await _ in client.pipeline(commands, pendingMax: 8) { outcomes += 1 }
        return outcomes
      }
      var iterator = full.makeAsyncIterator()
      await iterator.next()
      for _ in 0..<50 { _ = try await client.get("k") }
      #expect(commands.pulled.withLock { $0 } == 9)
      reader.cancel()
      // The eight that were sent, each told that the reader was cancelled.
      #expect(await reader.value == 8)
    }
  }

  @Test func repliesBehindAMissingOneStopThePulling() async throws {
    // The first command never gets a reply; each of the others has a large value.
    let value = [UInt8](repeating: 1, count: 1 << 20)
    let sent = SharedBox(0)
    let (full, isFull) = AsyncStream.makeStream(of: Void.self)
    var script = NodeScript()
    script.streamed = { stream, message in
      for id in Self.ids(message) where id > 1 {
        var replies = ByteBuffer()
        let mark = replies.beginReply(.pipeline, id: id)
        value.withUnsafeBytes { V1.Value(value: $0, found: true, version: 1).write(into: &replies) }
        replies.endReply(mark)
        stream.send(replies)
        sent.withLock { $0 += 1 }
      }
      if sent.withLock({ $0 }) >= 8 { isFull.yield() }
    }
    try await ScriptedNode.with(script) { client, _ in
      let commands = Commands(count: 1_000)
      let reader = Task {
        for await _ in client.pipeline(commands, pendingMax: 64) {}
      }
      var iterator = full.makeAsyncIterator()
      await iterator.next()
      for _ in 0..<50 { _ = try await client.get("k") }
      #expect(commands.pulled.withLock { $0 } <= 65)
      reader.cancel()
      await reader.value
    }
  }

  // MARK: Ends

  @Test func aBrokenStreamLeavesOnlyWhatWasSentInDoubtAndSendsNothingAgain() async throws {
    let seen = SharedBox<[UInt64]>([])
    let (full, isFull) = AsyncStream.makeStream(of: Void.self)
    var script = NodeScript()
    script.streamed = { stream, message in
      let ids = Self.ids(message)
      seen.withLock { $0 += ids }
      if ids.contains(1) {
        // Any reply but a value reads as "done" for a Set.
        var reply = ByteBuffer()
        let mark = reply.beginReply(.pipeline, id: 1)
        V1.Status(ok: true, version: 7).write(into: &reply)
        reply.endReply(mark)
        stream.send(reply)
      }
      if seen.withLock({ $0.count }) == 4 { isFull.yield() }
    }
    try await ScriptedNode.with(script) { client, relay in
      let commands = Commands(
        count: 10, make: { $0 == 2 ? .get("c") : .set("k\($0)", to: "v") })
      var outcomes: [Result<RingstoreReply, RingstoreError>] = []
      var iterator = client.pipeline(commands, pendingMax: 4).makeAsyncIterator()
      let first = await iterator.next()
      #expect(first?.reason == nil)
      var filled = full.makeAsyncIterator()
      await filled.next()
      relay.cut()
      while let outcome = await iterator.next() { outcomes.append(outcome) }
      #expect(outcomes.count == 9)
      for (place, outcome) in outcomes.enumerated() {
        guard case .failure(let error) = outcome else {
          Issue.record("a reply at \(place + 1)")
          continue
        }
        #expect(error.code == .unavailable)
        if place < 3 {
          #expect(error.isOutcomeUnknown == (place != 1), "command \(place + 1)")
        }
        // The fifth may have been on its way when the connection broke; nothing later was.
        if place > 3 { #expect(!error.isOutcomeUnknown, "command \(place + 1)") }
      }
      #expect(relay.accepted == 1)
    }
    #expect(Set(seen.withLock { $0 }).count == seen.withLock { $0.count })
  }

  @Test func anErrorOfTheSourceComesAfterTheOutcomesBeforeIt() async throws {
    struct SourceFailed: Error {}
    try await ScriptedNode.with(Self.replying()) { client, _ in
      let (commands, source) = AsyncThrowingStream.makeStream(of: RingstoreCommand.self)
      for number in 0..<3 { source.yield(.get("k\(number)")) }
      source.finish(throwing: SourceFailed())
      var outcomes = 0
      await #expect(throws: SourceFailed.self) {
        for try await _ in client.pipeline(commands) { outcomes += 1 }
      }
      #expect(outcomes == 3)
    }
  }

  @Test func droppingTheIteratorEndsTheStreamAndTheSource() async throws {
    let (ends, end) = AsyncStream.makeStream(of: Void.self)
    var script = Self.replying()
    script.ended = { _ in end.yield() }
    try await ScriptedNode.with(script) { client, _ in
      let (commands, source) = AsyncStream.makeStream(of: RingstoreCommand.self)
      source.onTermination = { _ in end.yield() }
      source.yield(.get("k"))
      for await _ in client.pipeline(commands) { break }
      var iterator = ends.makeAsyncIterator()
      await iterator.next()
      await iterator.next()
      let value = try await client.get("k")
      #expect(value == nil)
    }
  }

  @Test func aCommandThatIsTooLongFailsAlone() async throws {
    var configuration = RingstoreClient.Configuration.patient
    configuration.maxMessageBytes = 1_000
    try await ScriptedNode.with(Self.replying(), configuration) { client, _ in
      let long = [UInt8](repeating: 1, count: 2_000)
      let outcomes = await client.pipeline([.get("a"), .set("b", to: long), .get("c")])
      #expect(isValue(outcomes[0], "1"))
      #expect(isValue(outcomes[2], "3"))
      guard case .failure(let error) = outcomes[1] else {
        Issue.record("it was sent")
        return
      }
      #expect(error.code == .resourceExhausted)
      #expect(!error.isOutcomeUnknown)
    }
  }

  @Test func aNodeThatStopsReplyingEndsThePipelineByItsTimeout() async throws {
    var script = NodeScript()
    script.streamed = { _, _ in }
    try await ScriptedNode.with(script) { client, _ in
      let options = RingstoreCallOptions(timeout: .milliseconds(1))
      var codes: [RingstoreError.Code] = []
      let commands = Commands(count: 2, make: { .set("k\($0)", to: "v") })
      for await outcome in client.pipeline(commands, options: options) {
        guard case .failure(let error) = outcome else { continue }
        codes.append(error.code)
        #expect(error.isOutcomeUnknown)
      }
      #expect(codes == [.deadlineExceeded, .deadlineExceeded])
    }
  }

  @Test func repliesWithoutACallEndThePipeline() async throws {
    for id: UInt64 in [0, 2, .max] {
      var script = NodeScript()
      script.streamed = { stream, _ in stream.send(Self.replies(to: [id])) }
      try await ScriptedNode.with(script) { client, _ in
        let outcomes = await client.pipeline([.get("a")])
        guard case .failure(let error) = outcomes[0] else {
          Issue.record("id \(id) was taken")
          return
        }
        #expect(error.code == .internal)
      }
    }
  }

  @Test func everyCommandHasAnOutcomeEvenWhereTheTaskWasCancelled() async throws {
    var script = NodeScript()
    script.streamed = { _, _ in }
    try await ScriptedNode.with(script) { client, _ in
      let task = Task {
        await client.pipeline((0..<20_000).map { .get("k\($0)") })
      }
      task.cancel()
      let outcomes = await task.value
      #expect(outcomes.count == 20_000)
      #expect(outcomes.allSatisfy { if case .failure = $0 { true } else { false } })
    }
  }
}

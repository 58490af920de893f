// One connection for all calls, and what is sent again after it broke: reads, and nothing else.

import Commands
import RingstoreAPI
import RingstoreClient
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(15))) struct RetryTests {
  /// Every call there is, as a client's user makes it.
  private static let calls:
    [(id: CommandID, make: @Sendable (RingstoreClient) async throws -> Void)] =
      [
        (.get, { _ = try await $0.get("k") }), (.set, { _ = try await $0.set("k", to: "v") }),
        (.keys, { _ = try await $0.keys(limit: 5) }), (.stats, { _ = try await $0.stats() }),
        (.shutdown, { try await $0.shutdown() }), (.dbSize, { _ = try await $0.dbSize() }),
        (.reset, { _ = try await $0.reset() }), (.describe, { _ = try await $0.describe() }),
        (.mLRange, { _ = try await $0.multiRange([RingstoreListRange("l")]) }),
        (.mGet, { _ = try await $0.mGet(["k"]) }),
        (.mSet, { _ = try await $0.mSet([(key: "k", value: "v")]) }),
      ]

  @Test func allCallsShareOneConnection() async throws {
    var script = NodeScript()
    script.streamed = { stream, _ in stream.finish() }
    script.halfClosed = { $0.finish() }
    try await ScriptedNode.with(script) { client, relay in
      for call in Self.calls {
        do {
          try await call.make(client)
        } catch let error as RingstoreError {
          // An empty reply to a call on many keys has too few outcomes; it came, though.
          #expect(error.code == .internal, "\(call.id)")
        }
      }
      for try await _ in client.scan() {}
      for try await _ in client.listStream("l") {}
      _ = await client.pipeline([.get("k")])
      let (commands, source) = AsyncStream.makeStream(of: RingstoreCommand.self)
      source.finish()
      for await _ in client.pipeline(commands) {}
      await withTaskGroup { group in
        for _ in 0..<100 { group.addTask { _ = try? await client.get("k") } }
      }
      #expect(relay.accepted == 1)
    }
  }

  @Test(arguments: calls.indices)
  func onlyReadsAreSentAgainWhenTheirReplyIsLost(index: Int) async throws {
    let call = Self.calls[index]
    let relay = Mutex<Relay?>(nil)
    let seen = Mutex<[CommandID]>([])
    var script = NodeScript()
    script.unary = { id, _ in
      let count = seen.withLock { seen in
        seen.append(id)
        return seen.count
      }
      guard count == 1 else { return .success([]) }
      relay.withLock { $0 }?.cut()
      return nil
    }
    let isRead = try #require(CommandTable.command(call.id)).access == .read
    try await ScriptedNode.with(script) { client, node in
      relay.withLock { $0 = node }
      let error = await failure { try await call.make(client) }
      if isRead {
        #expect(error?.code != .unavailable)
      } else {
        #expect(error?.code == .unavailable)
        #expect(error?.isOutcomeUnknown == true)
      }
    }
    relay.withLock { $0 = nil }
    #expect(seen.withLock { $0 } == Array(repeating: call.id, count: isRead ? 2 : 1))
  }

  @Test func aRequestThatIsTooLongIsNotSent() async throws {
    var configuration = RingstoreClient.Configuration.patient
    configuration.maxMessageBytes = 1_000
    let seen = Mutex(0)
    var script = NodeScript()
    script.unary = { _, _ in
      seen.withLock { $0 += 1 }
      return .success([])
    }
    try await ScriptedNode.with(script, configuration) { client, _ in
      let value = [UInt8](repeating: 1, count: 1_000)
      let error = await failure { try await client.set("k", to: value) }
      #expect(error?.code == .resourceExhausted)
      #expect(error?.isOutcomeUnknown == false)
      try await client.set("k", to: Array(value.dropLast(100)))
    }
    #expect(seen.withLock { $0 } == 1)
  }
}

// Calls made within a router's process: it encodes them where they leave it.

import Commands
import NIOCore
import NodeCore
import ProtobufMessages
import RingstoreAPI
import Testing

@testable import RouterNode

@Suite struct TypedCallTests {
  private func submit(
    _ words: [String], to router: RouterFixture, caller: Int
  ) throws -> UInt64? {
    let found = Array(words[0].utf8).withUnsafeBytes { CommandTable.form(called: $0) }
    let meant = try #require(found?.form.call)
    return try CommandWords.withWords(words.map { Array($0.utf8) }) { said in
      let call = try meant(said, 0)
      return router.core.submit(call, CallContext(), endsAtDeadline: true, caller: caller)
    }
  }

  @Test func theShardGetsTheRequestThatWordsMean() throws {
    let router = try RouterFixture(shards: ["a"])
    try router.acceptAll()
    _ = try submit(["SET", "k", "v"], to: router, caller: 1)
    _ = try submit(["RPUSH", "l", "a", "b"], to: router, caller: 2)
    _ = try submit(["DECRBY", "n", "7"], to: router, caller: 3)
    let calls = try router.sent(to: 0).calls
    #expect(calls.map { Int($0.method) } == [CommandID.set, .rPush, .incrBy].map(\.rawValue))
    let set = try Ringstore_V1_KeyValue(serializedBytes: calls[0].request)
    #expect(set.key == .init("k".utf8) && set.value == .init("v".utf8))
    let push = try Ringstore_V1_ListInsert(serializedBytes: calls[1].request)
    #expect(push.values == [.init("a".utf8), .init("b".utf8)])
    #expect(try Ringstore_V1_IncrByRequest(serializedBytes: calls[2].request).delta == -7)
  }

  @Test func aCallThatWaitsKeepsItsRequest() throws {
    var limits = LinkLimits()
    limits.callsInFlightMax = 1
    let router = try RouterFixture(shards: ["a"], linkLimits: limits)
    try router.acceptAll()
    let first = try #require(try submit(["SET", "a", "1"], to: router, caller: 1))
    _ = try submit(["SET", "b", "2"], to: router, caller: 2)
    _ = try submit(["SET", "c", "3"], to: router, caller: 3)
    #expect(router.core.callsWaiting == 2)
    let sent = try router.sent(to: 0).calls
    #expect(sent.count == 1)
    try router.reply(first, from: 0)
    let next = try router.sent(to: 0).calls
    let set = try Ringstore_V1_KeyValue(serializedBytes: try #require(next.first).request)
    #expect(set.key == .init("b".utf8) && set.value == .init("2".utf8))
  }

  @Test func aLargeRequestIsSentOverTheBulkLane() throws {
    let router = try RouterFixture(shards: ["a"])
    try router.acceptAll()
    let value = String(repeating: "v", count: 200_000)
    _ = try submit(["SET", "k", value], to: router, caller: 1)
    #expect(try router.sent(to: 0).calls.isEmpty)
    let calls = try router.sent(to: 0, .bulk).calls
    let set = try Ringstore_V1_KeyValue(serializedBytes: try #require(calls.first).request)
    #expect(set.value.count == value.utf8.count)
  }

  @Test func aKeyThatMayNotBeTouchedIsRefusedBeforeItIsSent() throws {
    let router = try RouterFixture(shards: ["a"])
    try router.acceptAll()
    #expect(try submit(["GET", ""], to: router, caller: 1) == nil)
    Array("k".utf8).withUnsafeBytes { key in
      let call = Command.get.call(V1.Key(key: key, database: 99))
      #expect(router.core.submit(call, CallContext(), endsAtDeadline: true, caller: 2) == nil)
    }
    #expect(try router.sent(to: 0).calls.isEmpty)
    #expect(router.driver.outcomes[1]?.error?.reason == .invalidKey)
    #expect(router.driver.outcomes[2]?.error?.reason == .noSuchDatabase)
  }
}

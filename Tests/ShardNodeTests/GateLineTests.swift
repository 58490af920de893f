// The gate held shut and opened, for calls that aren't of ringstore.v1: lines, and the legacy
// services.

import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import NodeCore
import ProtobufMessages
import RingstoreAPI
import SwiftProtobuf
import Testing

@testable import ShardNode

@Suite(.serialized, .timeLimit(.minutes(15)))
struct GateLineTests {
  // MARK: - Lines

  @Test func aLineHasItsReplyWhenItIsCommitted() async throws {
    try await GatedShard.with { shard in
      let lines = try await GatedLines(shard)
      try await lines.send("SET k v", "GET k", "STRLEN other", "LLEN k")
      try await shard.executed(4)
      let others = try await GatedLines(shard)
      try await others.send("STRLEN other")
      #expect(try await others.replies(1) == ["+0"])
      #expect(lines.seen.isEmpty)
      try await shard.commit()
      let replies = try await lines.replies(4)
      #expect(replies.prefix(3) == ["+OK", "+v", "+0"])
      #expect(replies[3].hasPrefix("-"), "\(replies)")
      #expect(try await shard.inLoop { $0.core.gate.isEmpty && $0.core.gate.heldBytes == 0 })
    }
  }

  @Test func aLineClientThatGoesTakesItsHeldRepliesAlong() async throws {
    try await GatedShard.with { shard in
      let lines = try await GatedLines(shard)
      try await lines.send("SET k v", "GET k")
      try await shard.executed(2)
      #expect(try await shard.inLoop { !$0.core.gate.isEmpty })
      lines.close()
      try await shard.emptied()
      #expect(try await shard.inLoop { $0.core.gate.heldBytes == 0 })
      try await shard.commit()
    }
  }

  @Test func aDrainWaitsForHeldReplies() async throws {
    try await GatedShard.with { shard in
      let lines = try await GatedLines(shard)
      try await lines.send("SET k v")
      try await shard.executed(1)
      async let drained: Void = shard.drain()
      try await shard.draining()
      #expect(lines.seen.isEmpty)
      try await shard.commit()
      #expect(try await lines.replies(1) == ["+OK"])
      await drained
    }
  }

  @Test func atItsLimitADrainEndsHeldWritesAsUnknown() async throws {
    try await GatedShard.with(drainSeconds: 1) { shard in
      let lines = try await GatedLines(shard)
      try await lines.send("SET k v", "GET k")
      try await shard.executed(2)
      await shard.drain()
      let replies = try await lines.replies(2)
      #expect(replies[0].hasPrefix("-OUTCOME_UNKNOWN "), "\(replies)")
      #expect(replies[1].hasPrefix("-SHARD_UNAVAILABLE "), "\(replies)")
    }
  }

  // MARK: - Legacy services

  @Test func aLegacyCallHasItsReplyWhenItIsCommitted() async throws {
    try await GatedShard.with { shard in
      let write = shard.begin(path: "/KeyStore/Set", Self.keyValue("k", "v"))
      try await shard.executed(1)
      let other = try await shard.begin(path: "/KeyStore/Get", Self.key("other")).bytes
      #expect(try Legacy_ResponseVal(serializedBytes: other).noval)
      let read = shard.begin(path: "/KeyStore/Get", Self.key("k"))
      let number = shard.begin(
        path: "/KVStore/GetVal", Legacy_GetRequest.with { $0.key = "k" })
      try await shard.executed(4)
      #expect(!write.isDone && !read.isDone && !number.isDone)
      try await shard.commit()
      #expect(try Legacy_Status(serializedBytes: try await write.bytes).result == "OK")
      let found = try Legacy_ResponseVal(serializedBytes: try await read.bytes)
      #expect(found.value.valueName == "v")
      // The error tells of the value, so it has waited as well.
      #expect(await number.failure?.code == .failedPrecondition)
    }
  }

  /// It looks at the head first; both steps pass the gate.
  @Test func aLegacyPopWaitsForBothOfItsSteps() async throws {
    try await GatedShard.with { shard in
      let push = shard.begin(path: "/KeyStore/LPush", Self.keyValue("l", "a"))
      try await shard.executed(1)
      let pop = shard.begin(path: "/KeyStore/LPop", Self.key("l"))
      try await shard.executed(2)
      try await shard.commit()
      try await shard.executed(3)
      _ = try await push.bytes
      #expect(!pop.isDone)
      try await shard.commit()
      let popped = try Legacy_ResponseVal(serializedBytes: try await pop.bytes)
      #expect(popped.value.valueName == "a")
    }
  }

  @Test func aLegacyClientThatGoesTakesItsHeldRepliesAlong() async throws {
    try await GatedShard.with { shard in
      let gone = GatedShard.client(of: shard.server)
      let write = Pending(
        gone, path: "/KeyStore/Set", try Self.keyValue("k", "v").serializedBytes())
      try await shard.executed(1)
      gone.close()
      _ = await write.failure
      try await shard.emptied()
      #expect(try await shard.inLoop { $0.core.gate.heldBytes == 0 })
    }
  }

  private static func key(_ key: String) -> Legacy_Key {
    .with { $0.keyName = key }
  }

  private static func keyValue(_ key: String, _ value: String) -> Legacy_KeyValue {
    .with {
      $0.key.keyName = key
      $0.value.valueName = value
    }
  }
}

/// A line connection, and what has come over it.
private final class GatedLines: Sendable {
  private let channel: any Channel
  private let received: NIOLockedValueBox<String>

  init(_ shard: GatedShard) async throws {
    let received = NIOLockedValueBox("")
    channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(Collector(received))
        }
      }
      .connect(host: "127.0.0.1", port: shard.server.linePort ?? 0).get()
    self.received = received
  }

  func send(_ commands: String...) async throws {
    let text = commands.map { "\($0)\r\n" }.joined()
    try await channel.writeAndFlush(ByteBuffer(string: text))
  }

  /// The lines that have come, each whole.
  var seen: [String] {
    let text = received.withLockedValue { $0 }
    return text.split(separator: "\r\n", omittingEmptySubsequences: false).dropLast()
      .map(String.init)
  }

  /// Waits until so many lines have come.
  func replies(_ count: Int) async throws -> [String] {
    while seen.count < count {
      try Task.checkCancellation()
      await Task.yield()
    }
    return seen
  }

  func close() { channel.close(promise: nil) }

  private final class Collector: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let received: NIOLockedValueBox<String>

    init(_ received: NIOLockedValueBox<String>) { self.received = received }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
      let text = String(buffer: unwrapInboundIn(data))
      received.withLockedValue { $0 += text }
    }
  }
}

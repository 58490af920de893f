// The gate held shut and opened, on the other exits: unary calls, streams, Pipelines, and local
// calls. (Lines and the legacy services, which make those: GateLineTests.)

import GRPC
import Logging
import NIOCore
import NIOPosix
import NodeCore
import ProtobufMessages
import RingstoreAPI
import SwiftProtobuf
import Synchronization
import Testing

@testable import ShardNode

@Suite(.serialized, .timeLimit(.minutes(15)))
struct GateExitTests {
  @Test func aUnaryCallHasItsReplyWhenItIsCommitted() async throws {
    try await GatedShard.with { shard in
      let write = shard.begin(.set, Requests.set("k", "v"))
      try await shard.executed(1)
      // What comes after it on the same connection and doesn't wait overtakes it.
      let other = try await shard.call(.get, Requests.key("other"), as: Ringstore_V1_Value.self)
      #expect(!other.found && !write.isDone)
      let read = shard.begin(.get, Requests.key("k"))
      let wrongType = shard.begin(.lLen, Requests.key("k"))
      try await shard.executed(4)
      #expect(!read.isDone && !wrongType.isDone)
      try await shard.commit()
      #expect(try Ringstore_V1_Status(serializedBytes: try await write.bytes).ok)
      #expect(try Ringstore_V1_Value(serializedBytes: try await read.bytes).value.holds("v"))
      #expect(await wrongType.failure?.code == .failedPrecondition)
    }
  }

  @Test func aLargeReplyIsSentWhenItIsCommitted() async throws {
    try await GatedShard.with { shard in
      let text = pattern(1_000_000)
      let write = shard.begin(.set, Requests.set("k", text))
      try await shard.executed(1)
      let read = shard.begin(.get, Requests.key("k"))
      try await shard.executed(2)
      #expect(try await shard.inLoop { !$0.core.gate.isEmpty && $0.core.dueNanos == nil })
      #expect(!read.isDone)
      try await shard.commit()
      _ = try await write.bytes
      #expect(try Ringstore_V1_Value(serializedBytes: try await read.bytes).value.holds(text))
    }
  }

  @Test func aDeadlineEndsACallThatIsHeld() async throws {
    try await GatedShard.with { shard in
      let write = shard.begin(.set, Requests.set("k", "v"), timeout: .seconds(3))
      try await shard.executed(1)
      #expect(await write.failure?.code == .deadlineExceeded)
      try await shard.emptied()
      #expect(try await shard.inLoop { $0.core.gate.heldBytes == 0 })
      try await shard.commit()
      // It has happened, as a call with that error may have.
      let read = try await shard.call(.get, Requests.key("k"), as: Ringstore_V1_Value.self)
      #expect(read.found)
    }
  }

  @Test func callsWithOneMarkWaitTogetherAndEndByThemselves() async throws {
    try await GatedShard.with { shard in
      let values = ["a": "first", "b": "", "c": "the third"]
      let writes = values.map { shard.begin(.set, Requests.set($0, $1)) }
      let gone = shard.begin(.set, Requests.set("d", "v"), timeout: .seconds(3))
      try await shard.executed(4)
      let reads = values.map { ($1, shard.begin(.get, Requests.key($0))) }
      let wrongType = shard.begin(.lLen, Requests.key("a"))
      try await shard.executed(8)
      try await shard.nextBatch()
      let later = shard.begin(.set, Requests.set("e", "v"))
      let alone = shard.begin(.set, Requests.set("f", "v"), timeout: .seconds(3))
      try await shard.executed(10)
      #expect(try await shard.inLoop { $0.heldUnary.map(\.mark.number) } == [1, 2])
      let heldBytes = try await shard.inLoop { $0.core.gate.heldBytes }
      #expect(await gone.failure?.code == .deadlineExceeded)
      #expect(await alone.failure?.code == .deadlineExceeded)
      let stillHeld = try await shard.inLoop { $0.core.gate.heldBytes }
      #expect(stillHeld == heldBytes, "memory is freed with the last reply of a mark")

      try await shard.commit(upTo: 1)
      for write in writes {
        #expect(try Ringstore_V1_Status(serializedBytes: try await write.bytes).ok)
      }
      for (value, read) in reads {
        let reply = try Ringstore_V1_Value(serializedBytes: try await read.bytes)
        #expect(reply.found && reply.value == .init(value.utf8))
      }
      #expect(await wrongType.failure?.code == .failedPrecondition)
      let read = try await shard.call(.get, Requests.key("a"), as: Ringstore_V1_Value.self)
      #expect(read.found && !later.isDone)

      try await shard.commit()
      #expect(try Ringstore_V1_Status(serializedBytes: try await later.bytes).ok)
      #expect(try await shard.inLoop { $0.heldUnary.isEmpty && $0.core.gate.heldBytes == 0 })
    }
  }

  @Test func callsThatEndBeforeTheCommitLeaveNothingHeld() async throws {
    try await GatedShard.with { shard in
      let calls = ["a", "b"].map { shard.begin(.set, Requests.set($0, "v"), timeout: .seconds(2)) }
      try await shard.executed(2)
      for call in calls { #expect(await call.failure?.code == .deadlineExceeded) }
      try await shard.emptied()
      #expect(try await shard.inLoop { $0.heldUnary.isEmpty && $0.core.gate.heldBytes == 0 })
    }
  }

  @Test func aFanoutWaitsForAllItsParts() async throws {
    try await GatedShard.with { shard in
      var request = Ringstore_V1_MSetRequest()
      request.items = ["a", "b"].map { Requests.set($0, "v") }
      let write = shard.begin(.mSet, request)
      try await shard.executed(2)
      let scan = shard.beginStream(.scan, Ringstore_V1_ScanRequest())
      try await shard.executed(4)
      #expect(!write.isDone && !scan.isDone)
      try await shard.commit()
      #expect(
        try Ringstore_V1_MSetResponse(serializedBytes: try await write.bytes).items.count == 2)
      let pages = try await scan.messages.map { try Ringstore_V1_ScanPage(serializedBytes: $0) }
      #expect(Set(pages.flatMap(\.keys)).count == 2)
    }
  }

  @Test func aStreamBeginsWhenItIsCommitted() async throws {
    try await GatedShard.with { shard in
      let push = shard.begin(.rPush, Requests.push("l", ["a", "b", "c"]))
      try await shard.executed(1)
      let list = shard.beginStream(.lRangeStream, Requests.range("l", 0, -1))
      try await shard.executed(2)
      #expect(!list.isDone)
      try await shard.commit()
      _ = try await push.bytes
      let parts = try await list.messages.map { try Ringstore_V1_ListValues(serializedBytes: $0) }
      #expect(parts.flatMap(\.values).count == 3)
    }
  }

  @Test func aPipelineSendsWhatMayGoAndHoldsTheRest() async throws {
    try await GatedShard.with { shard in
      var batch = Ringstore_V1_CallBatch()
      batch.calls = try [
        Self.pipelined(1, .set, Requests.set("k", "v")),
        Self.pipelined(2, .get, Requests.key("other")),
        Self.pipelined(3, .get, Requests.key("k")),
        Self.pipelined(4, .set, Requests.set("k", "w"), timeoutMillis: 50),
        Self.pipelined(5, .get, Requests.key("k")),
      ]
      // The client ends its side at once; the stream stays for what is held.
      let pipeline = shard.beginStream(.pipeline, batch)
      try await shard.executed(5)
      let early = try await pipeline.firstMessages(2).flatMap {
        try Ringstore_V1_ReplyBatch(serializedBytes: $0).replies
      }
      #expect(early.map(\.id) == [2, 4])
      #expect(early.last?.code == StatusCode.deadlineExceeded.rawValue)
      #expect(!pipeline.isDone)
      try await shard.commit()
      let replies = try await pipeline.messages.flatMap {
        try Ringstore_V1_ReplyBatch(serializedBytes: $0).replies
      }
      #expect(replies.map(\.id) == [2, 4, 1, 3, 5])
      let last = try Ringstore_V1_Value(serializedBytes: try #require(replies.last).response)
      #expect(last.value.holds("w"), "a call that ended with its deadline had been executed")
    }
  }

  @Test func aPipelineContinuesBehindALargeReplyThatIsHeld() async throws {
    try await GatedShard.with { shard in
      let text = pattern(300_000)
      var batch = Ringstore_V1_CallBatch()
      batch.calls = try [
        Self.pipelined(1, .set, Requests.set("k", text)),
        Self.pipelined(2, .get, Requests.key("k")),
        Self.pipelined(3, .set, Requests.set("k", "w")),
      ]
      let pipeline = shard.beginStream(.pipeline, batch)
      try await shard.executed(2)
      try await shard.commit()
      try await shard.executed(3)
      try await shard.commit()
      let replies = try await pipeline.messages.flatMap {
        try Ringstore_V1_ReplyBatch(serializedBytes: $0).replies
      }
      #expect(replies.map(\.id) == [1, 2, 3])
      #expect(try Ringstore_V1_Value(serializedBytes: replies[1].response).value.holds(text))
    }
  }

  @Test func callsFromWithinWaitAsWell() async throws {
    try await GatedShard.with { shard in
      let outcomes = try await shard.inLoop { service in
        let outcomes = Outcomes(on: service.eventLoop)
        outcomes.call(service, .set, Requests.set("k", "v"))
        outcomes.call(service, .get, Requests.key("other"))
        outcomes.call(service, .get, Requests.key("k"))
        outcomes.call(service, .lPush, Requests.push("k", ["wrong type"]))
        let now = service.core.clock()
        outcomes.call(service, .incrBy, Requests.increment("n", by: 1), until: now + 1_000_000)
        let cancelled = service.front.call(.set, Requests.set("c", "v")) { _ in
          Issue.record("it was cancelled")
        }
        if let cancelled { service.front.cancel(cancelled) }
        return outcomes
      }
      try await outcomes.last.get()
      #expect(outcomes.value == ["1: OK", "4: DEADLINE_EXCEEDED"])
      try await shard.commit()
      #expect(
        outcomes.value == [
          "1: OK", "4: DEADLINE_EXCEEDED", "0: OK", "2: OK", "3: FAILED_PRECONDITION",
        ])
      #expect(try await shard.inLoop { $0.core.gate.isEmpty && $0.core.gate.heldBytes == 0 })
    }
  }

  /// What a reply points to in the store may change while it is held.
  @Test func aReplyToACallFromWithinIsHeldAsItWas() async throws {
    try await GatedShard.with { shard in
      let replies = try await shard.inLoop { service in
        let replies = service.eventLoop.makePromise(of: [UInt8].self)
        service.front.call(.set, Requests.set("k", "before")) { _ in }
        service.front.call(.get, Requests.key("k")) { outcome in
          replies.succeed((try? outcome.get()).map { Array($0.readableBytesView) } ?? [])
        }
        service.front.call(.set, Requests.set("k", "behind")) { _ in }
        return replies.futureResult
      }
      try await shard.commit()
      let value = try Ringstore_V1_Value(serializedBytes: try await replies.get())
      #expect(value.value == .init("before".utf8))
    }
  }

  @Test func aClientThatGoesTakesItsHeldRepliesAlong() async throws {
    try await GatedShard.with { shard in
      let gone = GatedShard.client(of: shard.server)
      let write = Pending(
        gone, path: "/ringstore.v1.KeyStore/Set", try Requests.set("k", "v").serializedBytes())
      try await shard.executed(1)
      gone.close()
      _ = await write.failure
      try await shard.emptied()
      #expect(try await shard.inLoop { $0.core.gate.heldBytes == 0 })
      try await shard.commit()
    }
  }

  // MARK: - Drains

  @Test func aDrainWaitsForHeldReplies() async throws {
    try await GatedShard.with { shard in
      let write = shard.begin(.set, Requests.set("k", "v"))
      try await shard.executed(1)
      async let drained: Void = shard.drain()
      try await shard.draining()
      #expect(!write.isDone)
      try await shard.commit()
      #expect(try Ringstore_V1_Status(serializedBytes: try await write.bytes).ok)
      await drained
    }
  }

  @Test func atItsLimitADrainEndsHeldWritesAsUnknown() async throws {
    try await GatedShard.with(drainSeconds: 1) { shard in
      let write = shard.begin(.set, Requests.set("k", "v"))
      try await shard.executed(1)
      let read = shard.begin(.get, Requests.key("k"))
      try await shard.executed(2)
      await shard.drain()
      let failure = await write.failure
      #expect(failure.flatMap { CallError($0).reason } == .outcomeUnknown)
      #expect(await read.failure.flatMap { CallError($0).reason } == .shardUnavailable)
    }
  }

  private static func pipelined(
    _ id: UInt64, _ method: Ringstore_V1_Method, _ request: some Message,
    timeoutMillis: UInt32 = 0
  ) throws -> Ringstore_V1_Call {
    var call = Ringstore_V1_Call()
    call.id = id
    call.method = method
    call.request = try request.serializedBytes()
    call.timeoutMillis = timeoutMillis
    return call
  }
}

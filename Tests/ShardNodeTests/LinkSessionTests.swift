// A shard's side of a link: who is greeted, what is executed, what is fenced off.

import GRPC
import NIOCore
import NodeCore
import Placement
import RingstoreAPI
import SwiftProtobuf
import Testing

@testable import ShardNode

@Suite("A router's link, as the shard sees it")
struct LinkSessionTests {
  let shard = ShardFixture()

  @Test func callsAreAnsweredInTheOrderReceived() throws {
    var link = try Link(to: shard)
    let replies = try link.send { frame in
      frame.call(1, .set, Requests.set("k", "v"))
      frame.call(2, .get, Requests.key("k"))
      frame.call(3, .get, Requests.key(""))
    }
    #expect(replies.map(\.id) == [1, 2, 3])
    #expect(replies.map(\.code) == [0, 0, StatusCode.invalidArgument.rawValue])
    let value = try Ringstore_V1_Value(serializedBytes: replies[1].response)
    #expect(value.value == .init("v".utf8))
  }

  @Test func onlyTheFirstRouterBringsANewMap() throws {
    let first = try Link(to: shard)
    #expect(first.session.greeting == .accepted(router: "r/0", newMap: true))
    let second = try Link(to: shard, generation: 2)
    #expect(second.session.greeting == .accepted(router: "r/0", newMap: false))
  }

  @Test func callsBeforeHelloAreRefused() throws {
    var session = LinkSession()
    var frame = RouterFrame()
    frame.call(1, .set, Requests.set("k", "v"))
    let after = frame.give(to: &session, shard.core) { _ in }
    #expect(after == .end(.failedPrecondition, "the first frame must carry Hello"))
    #expect(try !shard.get("k").found)
  }

  @Test(arguments: [
    ("other", "a", UInt64(1), "WRONG_CLUSTER"),
    ("test", "b", UInt64(1), "WRONG_SHARD"),
    ("test", "a", UInt64(0), "STALE_MAP"),
  ])
  func aHelloThatDoesNotFitIsRefusedWithTheReason(
    cluster: String, expected: String, epoch: UInt64, reason: String
  ) throws {
    _ = try Link(to: shard)
    var session = LinkSession()
    let hello = try Link.hello(cluster: cluster, expected: expected, epoch: epoch)
    let (reply, after) = try Link.greet(&session, shard.core, hello)
    #expect(!reply.accepted)
    #expect(reply.refusal == reason)
    #expect(after == .end(.failedPrecondition, reason))
    #expect(reply.hasMap == (reason == "STALE_MAP"))
  }

  @Test func anOlderGenerationExecutesNothingMore() throws {
    var older = try Link(to: shard, generation: 1)
    _ = try Link(to: shard, generation: 2)
    var frame = RouterFrame()
    frame.call(1, .set, Requests.set("k", "v"))
    let after = frame.give(to: &older.session, shard.core) { _ in }
    guard case .end(.aborted, _) = after else {
      Issue.record("the older connection was served: \(after)")
      return
    }
    #expect(try !shard.get("k").found)
  }

  @Test func aHelloOfAnOlderGenerationIsRefused() throws {
    _ = try Link(to: shard, generation: 2)
    var session = LinkSession()
    let (reply, _) = try Link.greet(&session, shard.core, try Link.hello(generation: 1))
    #expect(reply.refusal == "STALE_GENERATION")
  }

  @Test func aCallThatItsFrameTakesBackIsNotExecuted() throws {
    var link = try Link(to: shard)
    let replies = try link.send { frame in
      frame.call(1, .set, Requests.set("k", "v"))
      frame.bytes.writeCancel(id: 1)
    }
    #expect(replies.map(\.code) == [StatusCode.cancelled.rawValue])
    #expect(try !shard.get("k").found)
  }

  @Test func anUndecodableFrameEndsTheLink() throws {
    var link = try Link(to: shard)
    var frame = RouterFrame()
    frame.bytes.writeBytes([0xff, 0xff, 0xff])
    guard case .end(.internal, _) = frame.give(to: &link.session, shard.core, emit: { _ in }) else {
      Issue.record("garbage was accepted")
      return
    }
    #expect(link.session.phase == .ended)
  }

  @Test func manyRepliesComeInSeveralFrames() throws {
    try shard.set("k", String(repeating: "x", count: 100_000))
    var link = try Link(to: shard)
    var frame = RouterFrame()
    for id in 1...10 { frame.call(UInt64(id), .get, Requests.key("k")) }
    var sizes: [Int] = []
    _ = frame.give(to: &link.session, shard.core) { sizes.append($0.readableBytes) }
    #expect(sizes.count == 4)
    #expect(sizes.allSatisfy { $0 < LinkProtocol.frameBytes + 101_000 })
  }
}

/// An accepted link.
struct Link {
  var session = LinkSession()
  let core: ShardCore

  init(to shard: ShardFixture, generation: UInt64 = 1) throws {
    core = shard.core
    let (reply, _) = try Self.greet(&session, core, try Self.hello(generation: generation))
    #expect(reply.accepted, "\(reply.refusal)")
  }

  static func hello(
    cluster: String = "test", expected: String = "a", epoch: UInt64 = 1, generation: UInt64 = 1
  ) throws -> Ringstore_Internal_V1_Hello {
    var hello = Ringstore_Internal_V1_Hello()
    hello.protocol = LinkProtocol.version
    hello.cluster = cluster
    hello.router = "r/0"
    hello.generation = generation
    hello.expectedShard = expected
    hello.map = SlotMapMessage.encode(try Maps.of(["a"], epoch: epoch))
    return hello
  }

  static func greet(
    _ session: inout LinkSession, _ core: ShardCore, _ hello: Ringstore_Internal_V1_Hello
  ) throws -> (Ringstore_Internal_V1_HelloReply, LinkSession.AfterFrame) {
    var frame = RouterFrame()
    let bytes: [UInt8] = try hello.serializedBytes()
    bytes.withUnsafeBytes { frame.bytes.writeHello($0) }
    var answer = ByteBuffer()
    let after = frame.give(to: &session, core) { answer.writeImmutableBuffer($0) }
    let decoded = try Ringstore_Internal_V1_ShardFrame(
      serializedBytes: Array(answer.readableBytesView))
    return (decoded.hello, after)
  }

  mutating func send(
    _ fill: (inout RouterFrame) -> Void
  ) throws -> [Ringstore_Internal_V1_LinkReply] {
    var frame = RouterFrame()
    fill(&frame)
    var answer = ByteBuffer()
    #expect(frame.give(to: &session, core) { answer.writeImmutableBuffer($0) } == .goOn)
    return try Ringstore_Internal_V1_ShardFrame(
      serializedBytes: Array(answer.readableBytesView)
    ).replies
  }
}

struct RouterFrame {
  var bytes = ByteBuffer()

  mutating func call(
    _ id: UInt64, _ command: CommandID, _ request: some Message
  ) {
    guard let encoded: [UInt8] = try? request.serializedBytes() else { return }
    encoded.withUnsafeBytes {
      bytes.writeCall(.link, id: id, method: UInt32(command.rawValue), request: $0)
    }
  }

  func give(
    to session: inout LinkSession, _ core: ShardCore, emit: (ByteBuffer) -> Void
  ) -> LinkSession.AfterFrame {
    bytes.withUnsafeReadableBytes { session.receive($0, core, emit: emit) }
  }
}

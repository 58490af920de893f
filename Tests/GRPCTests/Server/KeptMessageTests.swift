// Large messages that a service keeps instead of copying them, and the ways in which a large unary
// message can come to nothing.

import HTTP2
import LargeMemory
import NIOCore
import Testing

@testable import GRPC

@Suite struct KeptMessageTests {
  static let size = LargeBlock.bytesMin + 12_345

  func configuration(window: Int = 1 << 20) -> ServerConfiguration {
    var configuration = ServerConfiguration()
    configuration.maxMessageBytes = 8 << 20
    configuration.streamWindowBytes = window
    return configuration
  }

  private func bytes(_ owned: OwnedBytes?) -> [UInt8] { owned?.withBytes { Array($0) } ?? [] }

  /// A harness whose service keeps each unary message.
  private func keeper(_ window: Int = 1 << 20) throws -> (ServerHarness, Kept) {
    let harness = try ServerHarness(configuration(window: window))
    let kept = Kept()
    let keep: (ServerCall, [UInt8]) -> Void = { call, message in
      guard let block = call.messageBlock else {
        kept.blocks.append(nil)
        return
      }
      let start = UnsafeRawPointer(block.base) + MessageFrame.prefixBytes
      let range = UnsafeRawBufferPointer(start: start, count: message.count)
      kept.blocks.append(OwnedBytes(range, in: block))
    }
    harness.service.onUnary = { call, message in
      keep(call, message)
      call.respond { $0.writeInteger(UInt8(1)) }
    }
    harness.service.onMessage = keep
    return (harness, kept)
  }

  private final class Kept {
    var blocks: [OwnedBytes?] = []
  }

  /// With the second window all of the message can be there before the client's end.
  @Test(arguments: [1 << 20, 4 << 20])
  func aKeptUnaryMessageStaysAsItIsWhateverComesNext(window: Int) throws {
    let (harness, kept) = try keeper(window)
    let first = patterned(Self.size)
    let second = [UInt8](repeating: 9, count: Self.size)
    for message in [first, second] {
      #expect(try harness.call(body: ServerHarness.frame(message)).status == "0")
    }
    #expect(kept.blocks.count == 2)
    #expect(isSame(bytes(kept.blocks[0]), first))
    #expect(isSame(bytes(kept.blocks[1]), second))
    #expect(harness.handler.callBytes.unfinished == 0)
  }

  @Test func aSmallMessageHasNoBlock() throws {
    let (harness, kept) = try keeper()
    _ = try harness.call(body: ServerHarness.frame(patterned(LargeBlock.bytesMin - 6)))
    _ = try harness.call(body: ServerHarness.frame([1]))
    #expect(kept.blocks.count == 2 && kept.blocks.allSatisfy { $0 == nil })
  }

  @Test func aKeptMessageOfAStreamStaysAsItIsWhateverComesNext() throws {
    let (harness, kept) = try keeper()
    let messages = [patterned(Self.size), [7], [UInt8](repeating: 3, count: Self.size), [8]]
    let stream = try #require(harness.open(ScriptedService.streamPath))
    for message in messages { harness.send(stream, ServerHarness.frame(message)) }
    harness.client.finish(stream)
    try harness.pump()
    #expect(kept.blocks.count == 4)
    #expect(isSame(bytes(kept.blocks[0]), messages[0]))
    #expect(isSame(bytes(kept.blocks[2]), messages[2]))
    #expect(kept.blocks[1] == nil && kept.blocks[3] == nil)
  }

  @Test func theEndOfTheClientMayComeByItself() throws {
    let (harness, kept) = try keeper(4 << 20)
    let message = patterned(Self.size)
    let stream = try #require(harness.open(ScriptedService.unaryPath))
    harness.send(stream, ServerHarness.frame(message))
    try harness.pump()
    #expect(kept.blocks.isEmpty)
    // Looked at once more with nothing new.
    harness.handler.drain()
    harness.client.finish(stream)
    try harness.pump()
    #expect(isSame(bytes(kept.blocks.first ?? nil), message))
    #expect(harness.seen[1]?.status == "0")
  }

  @Test func aSecondMessageIsRefused() throws {
    let (harness, kept) = try keeper()
    let seen = try harness.call(body: ServerHarness.frame(patterned(Self.size)) + [0, 0, 0, 0, 0])
    #expect(seen.status == "12")
    #expect(kept.blocks.isEmpty)
    #expect(harness.handler.largeMessages.bytes == 0 && harness.handler.callBytes.unfinished == 0)
  }

  @Test func anEndWithinTheMessageIsRefused() throws {
    let (harness, kept) = try keeper()
    let seen = try harness.call(
      body: Array(ServerHarness.frame(patterned(Self.size)).dropLast()))
    #expect(seen.status == "13")
    #expect(kept.blocks.isEmpty)
    #expect(harness.handler.largeMessages.bytes == 0 && harness.handler.callBytes.unfinished == 0)
  }

  @Test func aCallThatEndsWithinTheMessageLeavesNothing() throws {
    let (harness, kept) = try keeper(4 << 20)
    for _ in 0..<3 {
      let stream = try #require(harness.open(ScriptedService.unaryPath))
      harness.send(stream, Array(ServerHarness.frame(patterned(Self.size)).dropLast()))
      try harness.pump()
      let call = try #require(
        harness.handler.session.liveStreams.first?.context as? ServerCall)
      #expect(call.deframer.reservedBytes == Self.size + MessageFrame.prefixBytes)
      #expect(harness.handler.callBytes.unfinished == Self.size + MessageFrame.prefixBytes - 1)
      harness.client.reset(stream, code: .cancel)
      try harness.pump()
      #expect(call.deframer.reservedBytes == 0)
    }
    #expect(kept.blocks.isEmpty)
    #expect(harness.handler.largeMessages.bytes == 0 && harness.handler.callBytes.unfinished == 0)
    // The same pooled call serves a small message.
    #expect(try harness.call(body: ServerHarness.frame([1])).status == "0")
  }
}

// Messages whose end a client call sends from where it lies.

import HTTP2
import LargeMemory
import NIOCore
import Testing

@testable import GRPC

@Suite struct HandedOverMessageTests {
  private func owned(_ bytes: [UInt8]) -> OwnedBytes {
    bytes.withUnsafeBytes { OwnedBytes(copying: $0) }
  }

  /// Takes the messages that have arrived at the peer.
  private func arrived(_ bytes: [UInt8]) throws -> [[UInt8]] {
    var deframer = MessageDeframer(limit: 16 << 20)
    var messages: [[UInt8]] = []
    try bytes.withUnsafeBytes { all in
      var rest = all
      while let message = try deframer.next(&rest) { messages.append(Array(message)) }
    }
    try deframer.finish()
    return messages
  }

  private func send(
    _ call: ClientCall, tail: OwnedBytes, _ writeHead: (inout ByteBuffer) -> Void = { _ in }
  ) {
    var message = ByteBuffer()
    MessageFrame.leaveRoom(in: &message)
    writeHead(&message)
    call.send(&message, tail: tail)
    #expect(message.readableBytes == 0)
  }

  private func body(_ peer: InMemoryPeer) -> [UInt8] {
    peer.streams.first.map { Array($0.inbound.readableBytesView) } ?? []
  }

  private func wide() -> HTTP2Configuration {
    var server = HTTP2Configuration()
    server.streamWindowBytes = 1 << 27
    server.connectionWindowBytes = 1 << 27
    return server
  }

  @Test func messagesKeepTheirOrderAndTheirBytes() throws {
    let peer = try InMemoryPeer(server: wide())
    let call = peer.start(RecordingHandler())
    let large = patterned(3 << 20)
    call.send { $0.writeBytes([1, 2, 3]) }
    send(call, tail: owned(large)) { $0.writeBytes([4]) }
    call.send { $0.writeBytes([5]) }
    send(call, tail: owned([6, 7]))
    send(call, tail: owned([8])) { $0.writeBytes([9]) }
    #expect(call.outboundBytes == 5 * 5 + 3 + 1 + large.count + 1 + 2 + 2)
    #expect(!call.isWritable)
    call.halfClose()
    peer.exchange()
    let messages = try arrived(body(peer))
    #expect(messages.count == 5)
    #expect(isSame(messages[1], [4] + large))
    #expect(
      [messages[0], messages[2], messages[3], messages[4]] == [[1, 2, 3], [5], [6, 7], [9, 8]])
    #expect(call.outboundBytes == 0)
  }

  @Test func theMemoryIsReleasedWithItsLastByte() throws {
    let peer = try InMemoryPeer(server: wide())
    let call = peer.start(RecordingHandler())
    weak var block: LargeBlock?
    do {
      let tail = owned(patterned(2 << 20))
      block = tail.block
      send(call, tail: tail)
    }
    call.send { $0.writeBytes([1]) }
    #expect(block != nil)
    peer.exchange()
    #expect(block == nil)
    #expect(try arrived(body(peer)).count == 2)
  }

  @Test func aCallThatIsCancelledReleasesTheMemory() throws {
    var shut = HTTP2Configuration()
    shut.streamWindowBytes = 100_000
    let peer = try InMemoryPeer(server: shut)
    let call = peer.start(RecordingHandler())
    weak var block: LargeBlock?
    do {
      let tail = owned(patterned(2 << 20))
      block = tail.block
      send(call, tail: tail)
    }
    peer.exchange()
    #expect(block != nil && call.outboundBytes > 1 << 20)
    call.cancel()
    peer.exchange()
    #expect(block == nil)
    #expect(peer.connection.session.outboundBytes == 0)
  }

  @Test func aCallThatWaitsForItsStreamSendsItLater() throws {
    var configuration = ClientConfiguration()
    configuration.maxOpenCalls = 1
    let peer = try InMemoryPeer(configuration: configuration, server: wide())
    let first = peer.start(RecordingHandler())
    let second = peer.start(RecordingHandler())
    let large = patterned(1 << 20)
    send(second, tail: owned(large)) { $0.writeBytes([1]) }
    second.send { $0.writeBytes([2]) }
    peer.exchange()
    #expect(peer.streams.count == 1)
    first.cancel()
    peer.exchange()
    let messages = try arrived(Array(try #require(peer.streams.last).inbound.readableBytesView))
    #expect(messages.count == 2)
    #expect(isSame(messages[0], [1] + large))
  }
}

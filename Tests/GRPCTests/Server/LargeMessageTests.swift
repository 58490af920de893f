// Messages of up to 64 MiB: taken in without being moved about, one after another, and sent in
// chunks between which others are served.

import HTTP2
import NIOCore
import Testing

@testable import GRPC

/// Bytes that are no run of one value, so that a piece lost or doubled shows.
func patterned(_ count: Int) -> [UInt8] {
  [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
    // One short period written once and then copied behind itself.
    let period = min(count, 65_521)
    for index in 0..<period { buffer[index] = UInt8(truncatingIfNeeded: index &* 7 ^ index >> 8) }
    var done = period
    while done < count {
      let part = min(done, count - done)
      UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[done...])
        .copyMemory(
          from: UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer)[..<part]))
      done += part
    }
    filled = count
  }
}

func isSame(_ first: [UInt8], _ second: [UInt8]) -> Bool {
  first.count == second.count
    && first.withUnsafeBytes { one in
      second.withUnsafeBytes { two in
        guard let one = one.baseAddress, let two = two.baseAddress else { return true }
        return memoryIsEqual(one, two, first.count)
      }
    }
}

@Suite struct LargeMessageTests {
  static let largest = 64 << 20

  func configuration() -> ServerConfiguration {
    var configuration = ServerConfiguration()
    configuration.maxMessageBytes = Self.largest
    return configuration
  }

  func wideClient() -> HTTP2Configuration {
    var client = HTTP2Configuration()
    client.streamWindowBytes = 1 << 27
    client.connectionWindowBytes = 1 << 27
    return client
  }

  @Test func aUnaryMessageOf64MiBIsTakenInWithoutBeingMoved() throws {
    let harness = try ServerHarness(configuration())
    var got: [UInt8] = []
    harness.service.onUnary = { call, message in
      got = message
      call.respond { _ in }
    }
    let message = patterned(Self.largest)
    let frame = ServerHarness.frame(message)
    let stream = try #require(harness.open(ScriptedService.unaryPath))
    harness.send(stream, Array(frame[..<(2 << 20)]))
    try harness.pump()
    let received = try #require(harness.handler.session.liveStreams.first)
    let call = try #require(received.context as? ServerCall)
    #expect(call.deframer.reservedBytes == frame.count, "room for all of it")
    #expect(received.inbound.capacity <= 64 << 10)
    #expect(harness.handler.largeMessages.bytes == frame.count)
    #expect(harness.handler.callBytes.unfinished == 0)
    harness.send(stream, Array(frame[(2 << 20)...]))
    try harness.pump()
    #expect(call.deframer.reservedBytes == frame.count)
    harness.client.finish(stream)
    try harness.pump()
    #expect(call.deframer.reservedBytes == 0, "given back")
    #expect(isSame(got, message))
    #expect(harness.seen[1]?.status == "0")
    #expect(harness.handler.largeMessages.bytes == 0)
  }

  @Test func aStreamsMessageOf64MiBIsTakenInAndItsMemoryGivenBack() throws {
    let harness = try ServerHarness(configuration())
    var got: [[UInt8]] = []
    var open: ServerCall?
    harness.service.onOpened = { open = $0 }
    harness.service.onMessage = { got.append($1) }
    let message = patterned(Self.largest)
    let stream = try #require(harness.open(ScriptedService.streamPath))
    harness.send(stream, ServerHarness.frame([1]) + ServerHarness.frame(message).prefix(2 << 20))
    try harness.pump()
    let call = try #require(open)
    #expect(call.deframer.reservedBytes == Self.largest + 5)
    harness.send(stream, Array(ServerHarness.frame(message).dropFirst(2 << 20)))
    harness.send(stream, ServerHarness.frame([2]))
    try harness.pump()
    #expect(got.count == 3 && isSame(got[1], message))
    #expect(call.deframer.reservedBytes <= 64 << 10)
    #expect(call.stream.inbound.capacity <= 64 << 10)
    #expect(harness.handler.largeMessages.bytes == 0)
  }

  @Test func aReplyOf64MiBLeavesInChunksAndOthersAreServedInBetween() throws {
    let harness = try ServerHarness(configuration(), client: wideClient())
    let other = try ServerHarness(sharing: harness)
    let message = patterned(Self.largest)
    harness.service.onUnary = { call, request in
      call.respond { $0.writeBytes(request.count > 1 ? message : request) }
    }
    let large = try #require(harness.open(ScriptedService.unaryPath))
    harness.send(large, ServerHarness.frame([1, 2]), isLast: true)
    while harness.seen[1]?.bodyBytes ?? 0 < 4 << 20 { #expect(try harness.step()) }
    let before = harness.seen[1]?.bodyBytes ?? 0

    // A call on another connection, and one on the same.
    let elsewhere = try #require(other.open(ScriptedService.unaryPath))
    other.send(elsewhere, ServerHarness.frame([1]), isLast: true)
    while other.seen[1]?.status == nil { #expect(try other.step()) }
    let small = try #require(harness.open(ScriptedService.unaryPath))
    harness.send(small, ServerHarness.frame([1]), isLast: true)
    while harness.seen[3]?.status == nil { #expect(try harness.step()) }
    #expect((harness.seen[1]?.bodyBytes ?? 0) - before <= 4 << 20)

    try harness.pump()
    #expect(isSame(try #require(harness.seen[1]).body, ServerHarness.frame(message)))
    #expect(harness.seen[1]?.status == "0")
    #expect(harness.writtenBytes.allSatisfy { $0 <= ServerConfiguration.writeChunkBytes })
  }

  @Test func oneTickWritesOneChunkHoweverFastTheClientIs() throws {
    let harness = try ServerHarness(configuration(), client: wideClient())
    // A reply that is continued as soon as it was written.
    harness.service.onMessage = { call, _ in call.send { $0.writeRepeatingByte(1, count: 1 << 20) }
    }
    harness.service.onWritable = { call in call.send { $0.writeRepeatingByte(1, count: 1 << 20) } }
    let stream = try #require(harness.open(ScriptedService.streamPath))
    harness.send(stream, ServerHarness.frame([1]))
    for _ in 0..<8 {
      let before = harness.writtenBytes.count
      _ = try harness.step()
      // The read's own flush, and the turn's.
      #expect(harness.writtenBytes.count - before <= 3)
    }
    #expect(harness.handler.session.outboundBytes > 0)
  }

  /// Windows of 70,000 bytes, and 1,000,000 for large messages.
  func turns() -> ServerConfiguration {
    var configuration = ServerConfiguration()
    configuration.streamWindowBytes = 70_000
    configuration.maxLargeMessageBytes = 1_000_000
    configuration.maxBufferedBytes = 500_000
    return configuration
  }

  func heldBytes(_ harness: ServerHarness) -> Int {
    harness.handler.session.liveStreams.reduce(0) { $0 + $1.inbound.readableBytes }
  }

  @Test func largeMessagesOfOneConnectionComeInOneAfterAnother() throws {
    let harness = try ServerHarness(turns())
    var sizes: [Int] = []
    harness.service.onUnary = { call, message in
      sizes.append(message.count)
      call.respond { _ in }
    }
    for _ in 0..<6 {
      let stream = try #require(harness.open(ScriptedService.unaryPath))
      harness.send(
        stream, ServerHarness.frame(Array(repeating: 1, count: 450_000)), isLast: true)
    }
    var peak = 0
    while try harness.step() {
      peak = max(peak, heldBytes(harness))
      #expect(harness.handler.largeMessages.bytes <= 1_000_000)
    }
    #expect(sizes == Array(repeating: 450_000, count: 6), "and none was refused")
    #expect(peak <= 1_000_000 + 4 * 70_000)
    #expect(peak > 450_000, "two at a time")
    #expect(harness.handler.largeMessages.bytes == 0)
    #expect(harness.handler.largeMessages.waiting.isEmpty)
  }

  @Test func oneMessageIsAlwaysLetInAndThoseThatWaitMayGoAway() throws {
    let harness = try ServerHarness(turns())
    var sizes: [Int] = []
    harness.service.onMessage = { sizes.append($1.count) }
    let message = ServerHarness.frame(Array(repeating: 1, count: 1_500_000))
    var streams: [HTTP2Stream] = []
    for _ in 0..<4 {
      let stream = try #require(harness.open(ScriptedService.streamPath))
      streams.append(stream)
      harness.send(stream, Array(message.prefix(500_000)))
      try harness.pump()
    }
    #expect(streams[0].outbound.readableBytes == 0, "over the bound, and let in all the same")
    #expect(streams[1...].allSatisfy { $0.outbound.readableBytes > 400_000 })
    #expect(harness.handler.largeMessages.waiting.count == 3)
    // The second goes away while it waits, the first while it is let in.
    harness.client.reset(streams[1], code: .cancel)
    harness.client.reset(streams[0], code: .cancel)
    try harness.pump()
    #expect(streams[2].outbound.readableBytes == 0)
    #expect(streams[3].outbound.readableBytes > 400_000)
    for stream in streams[2...] { harness.send(stream, Array(message.dropFirst(500_000))) }
    try harness.pump()
    #expect(sizes == [1_500_000, 1_500_000])
    #expect(harness.handler.largeMessages.bytes == 0)
    #expect(try harness.call(body: ServerHarness.frame([1])).status == "0")
  }
}

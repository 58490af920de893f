// Framing in and out: bytes arrive split and coalesced at will, and from peers that lie.

import NIOCore
import TestSeeds
import Testing

@testable import GRPC

@Suite struct MessageDeframerTests {
  /// Feeds chunks and collects the messages that come out.
  private func messages(
    _ chunks: [[UInt8]], limit: Int = 1 << 20
  ) throws -> [[UInt8]] {
    var deframer = MessageDeframer(limit: limit)
    var found: [[UInt8]] = []
    for chunk in chunks {
      try chunk.withUnsafeBytes { bytes in
        var rest = bytes
        while let message = try deframer.next(&rest) { found.append(Array(message)) }
        #expect(rest.isEmpty)
      }
    }
    try deframer.finish()
    return found
  }

  private func framed(_ messages: [[UInt8]]) -> [UInt8] {
    var buffer = ByteBuffer()
    for message in messages {
      let mark = MessageFrame.begin(&buffer)
      buffer.writeBytes(message)
      MessageFrame.end(mark, &buffer)
    }
    return Array(buffer.readableBytesView)
  }

  @Test func thePrefixIsFlagAndBigEndianLength() {
    #expect(framed([[7, 8]]) == [0, 0, 0, 0, 2, 7, 8])
    #expect(framed([[]]) == [0, 0, 0, 0, 0])
    var buffer = ByteBuffer()
    [UInt8]([9]).withUnsafeBytes { MessageFrame.write($0, to: &buffer) }
    #expect(Array(buffer.readableBytesView) == [0, 0, 0, 0, 1, 9])
  }

  @Test func aMessageInsideOneChunkIsHandedOutInPlace() throws {
    let chunk = framed([[1, 2, 3]])
    var deframer = MessageDeframer(limit: 100)
    try chunk.withUnsafeBytes { bytes in
      var rest = bytes
      let message = try deframer.next(&rest)
      let expected = bytes.baseAddress.map { $0 + 5 }
      #expect(message?.baseAddress == expected)
      let buffered = deframer.bufferedBytes
      #expect(buffered == 0)
    }
  }

  @Test func everySplitOfAStreamGivesTheSameMessages() throws {
    let expected: [[UInt8]] = [[], [1], [], Array(repeating: 9, count: 300), [2, 3]]
    let stream = framed(expected)
    for cut in 0...stream.count {
      #expect(try messages([Array(stream[..<cut]), Array(stream[cut...])]) == expected)
    }
    #expect(try messages(stream.map { [$0] }) == expected)
    #expect(try messages([stream]) == expected)
  }

  @Test func randomMessagesInRandomChunksComeOutWhole() throws {
    var random = SeededRandom.forTest("deframer")
    for _ in 0..<60 {
      let expected = (0..<Int.random(in: 0..<20, using: &random)).map { _ in
        random.bytes(Int.random(in: 0..<(Bool.random(using: &random) ? 10 : 2000), using: &random))
      }
      var rest = framed(expected)[...]
      var chunks: [[UInt8]] = []
      while !rest.isEmpty {
        let size = Int.random(in: 1...700, using: &random)
        chunks.append(Array(rest.prefix(size)))
        rest = rest.dropFirst(size)
      }
      #expect(try messages(chunks) == expected)
    }
  }

  @Test func aLengthOverTheLimitIsRefusedBeforeAnythingIsBuffered() {
    #expect(throws: MessageFramingError.tooLarge(length: 11)) {
      try messages([[0, 0, 0, 0, 11]], limit: 10)
    }
    #expect(throws: MessageFramingError.tooLarge(length: 0xFFFF_FFFF)) {
      try messages([[0, 255], [255, 255, 255]], limit: 10)
    }
    #expect(throws: Never.self) {
      try messages([[0, 0, 0, 0, 10] + Array(repeating: 0, count: 10)], limit: 10)
    }
  }

  @Test func anAnnouncedLengthReservesNoMemory() throws {
    var deframer = MessageDeframer(limit: 1 << 30)
    let chunk: [UInt8] = [0, 0x3F, 0xFF, 0xFF, 0xFF, 1, 2]
    try chunk.withUnsafeBytes { bytes in
      var rest = bytes
      let message = try deframer.next(&rest)
      #expect(message == nil)
    }
    let buffered = deframer.bufferedBytes
    #expect(buffered == 7)
    let reserved = deframer.reservedBytes
    #expect(reserved <= 256)
  }

  @Test func memoryOfALargeMessageIsGivenBack() throws {
    var deframer = MessageDeframer(limit: 1 << 20)
    let stream = framed([Array(repeating: 1, count: 500_000), [2]])
    for start in stride(from: 0, to: stream.count, by: 100_000) {
      try stream[start..<min(start + 100_000, stream.count)].withUnsafeBytes { bytes in
        var rest = bytes
        while try deframer.next(&rest) != nil {}
      }
    }
    let buffered = deframer.bufferedBytes
    #expect(buffered == 0)
    let reserved = deframer.reservedBytes
    #expect(reserved == 0)
  }

  @Test func flagsThatWeDidNotAgreeOnAreRefused() {
    #expect(throws: MessageFramingError.compressedWithoutEncoding) {
      try messages([[1, 0, 0, 0, 1, 5]])
    }
    #expect(throws: MessageFramingError.badFlag(2)) { try messages([[2, 0, 0, 0, 1, 5]]) }
  }

  @Test func aStreamThatEndsInsideAMessageIsTruncated() {
    for cut in 1..<8 {
      let chunk = Array(framed([[1, 2, 3]])[..<cut])
      #expect(throws: MessageFramingError.truncatedAtEnd) { try messages([chunk]) }
    }
  }

  @Test func aResetDeframerStartsAfresh() throws {
    var deframer = MessageDeframer(limit: 100)
    try [UInt8]([0, 0, 0]).withUnsafeBytes { bytes in
      var rest = bytes
      _ = try deframer.next(&rest)
    }
    deframer.reset()
    try deframer.finish()
    try framed([[4]]).withUnsafeBytes { bytes in
      var rest = bytes
      let message = try deframer.next(&rest).map { Array($0) }
      #expect(message == [4])
    }
  }

  @Test func roomForAnAnnouncedMessageIsMadeAtOnceAndGivenBack() throws {
    let length = 1 << 20
    let frame = framed([Array(repeating: 1, count: length)])
    var deframer = MessageDeframer(limit: length)
    let before = deframer.announcedBytes
    #expect(before == 0)
    try Array(frame[..<3]).withUnsafeBytes { bytes in
      var rest = bytes
      let message = try deframer.next(&rest)
      #expect(message == nil)
    }
    #expect(deframer.announcedBytes == 0, "the prefix isn't whole")
    try Array(frame[3..<10]).withUnsafeBytes { bytes in
      var rest = bytes
      let message = try deframer.next(&rest)
      #expect(message == nil)
    }
    #expect(deframer.announcedBytes == length + 5)
    #expect(deframer.reservedBytes < 1_000, "not unless it is asked for")
    deframer.reserveAnnounced()
    #expect(deframer.reservedBytes == length + 5)
    try Array(frame[10...]).withUnsafeBytes { bytes in
      var rest = bytes
      let message = try deframer.next(&rest)
      #expect(message?.count == length)
      #expect(deframer.announcedBytes == 0)
    }
    try deframer.finish()
    #expect(deframer.reservedBytes == 0)
  }

  @Test func errorsBecomeTheStatusThatTheProtocolRequests() {
    #expect(MessageFramingError.tooLarge(length: 5).status(limit: 4).code == .resourceExhausted)
    #expect(MessageFramingError.compressedWithoutEncoding.status(limit: 4).code == .internal)
    #expect(MessageFramingError.truncatedAtEnd.status(limit: 4).code == .internal)
  }
}

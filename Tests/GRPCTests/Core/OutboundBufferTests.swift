// The room of sent bytes is taken back without moving a large message about.

import NIOCore
import Testing

@testable import GRPC

@Suite struct OutboundBufferTests {
  @Test func aSmallRestIsMovedAsSoonAsMoreWasSent() {
    var buffer = ByteBuffer(repeating: 1, count: 1_000)
    buffer.moveReaderIndex(forwardBy: 400)
    OutboundBuffer.reclaim(&buffer)
    #expect(buffer.readerIndex == 400)
    buffer.moveReaderIndex(forwardBy: 200)
    OutboundBuffer.reclaim(&buffer)
    #expect(buffer.readerIndex == 0 && buffer.readableBytes == 400)
  }

  @Test func aLargeRestIsMovedOnlyOnceItIsASmallPart() {
    let total = 16 << 20
    var buffer = ByteBuffer(repeating: 1, count: total)
    var moves = 0
    while buffer.readableBytes > 0 {
      buffer.moveReaderIndex(forwardBy: min(512 << 10, buffer.readableBytes))
      let before = buffer.readerIndex
      OutboundBuffer.reclaim(&buffer)
      if buffer.readerIndex < before { moves += buffer.readableBytes }
    }
    #expect(moves < total / 2, "\(moves) bytes were moved")
  }

  @Test func aBufferThatIsNeverEmptyStaysBounded() {
    var buffer = ByteBuffer()
    let waiting = 1 << 20
    buffer.writeRepeatingByte(1, count: waiting)
    for _ in 0..<2_000 {
      OutboundBuffer.reclaim(&buffer)
      buffer.writeRepeatingByte(1, count: 64 << 10)
      buffer.moveReaderIndex(forwardBy: 64 << 10)
    }
    #expect(buffer.capacity <= 8 * waiting)
  }
}

// Frames are counted however their bytes are split.

import NIOCore
import Testing

@testable import HTTP2

@Suite struct FrameMeterTests {
  private static func frame(_ type: UInt8, _ count: Int) -> [UInt8] {
    [UInt8(count >> 16), UInt8(count >> 8 & 0xFF), UInt8(count & 0xFF), type, 0, 0, 0, 0, 1]
      + [UInt8](repeating: 0xFF, count: count)
  }

  @Test(arguments: [1, 2, 3, 8, 9, 10, 11, 24, 25, 1_000, 100_000])
  func framesAreCountedInPiecesOfAnySize(size: Int) {
    let preface = [UInt8]("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
    // The large DATA and the CONTINUATION are not counted.
    let bytes =
      preface + Self.frame(4, 0) + Self.frame(1, 30) + Self.frame(9, 7) + Self.frame(0, 1_023)
      + Self.frame(0, 20_000) + Self.frame(0, 0) + Self.frame(0xFA, 300) + Self.frame(6, 8)
    var meter = FrameMeter(prefaceBytes: preface.count)
    var at = 0
    while at < bytes.count {
      let next = min(bytes.count, at + size)
      bytes[at..<next].withUnsafeBytes { meter.read($0) }
      at = next
    }
    #expect(meter.frames == 6)
    #expect(meter.bytes == bytes.count)
  }
}

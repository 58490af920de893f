// gzip as messages travel in it: there and back, bombs, and bytes that are no gzip.

import NIOCore
import TestSeeds
import Testing

@testable import GRPC

@Suite struct GzipCodecTests {
  private let codec = GzipCodec()

  private func deflated(_ bytes: [UInt8]) -> [UInt8]? {
    var buffer = ByteBuffer()
    let isShorter = bytes.withUnsafeBytes { codec.deflate($0, into: &buffer) }
    return isShorter ? Array(buffer.readableBytesView) : nil
  }

  private func inflated(
    _ bytes: [UInt8], limit: Int = 1 << 20
  ) -> Result<[UInt8], MessageFramingError> {
    bytes.withUnsafeBytes { raw in
      do throws(MessageFramingError) {
        return .success(Array(try codec.inflate(raw, limit: limit).readableBytesView))
      } catch {
        return .failure(error)
      }
    }
  }

  @Test(arguments: [100, 1_000, 70_000, 300_000])
  func whatIsDeflatedInflatesToItself(_ count: Int) throws {
    let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 / 50) }
    let compressed = try #require(deflated(bytes))
    #expect(compressed.count < count)
    #expect(Array(compressed.prefix(2)) == [0x1f, 0x8b])
    #expect(inflated(compressed) == .success(bytes))
  }

  @Test func whatWouldNotGetShorterStaysAsItIs() {
    var random = SeededRandom(seed: 7)
    let bytes = (0..<1_000).map { _ in UInt8.random(in: 0...255, using: &random) }
    #expect(deflated(bytes) == nil)
    #expect(deflated([]) == nil)
    #expect(deflated([1]) == nil)
    // And the codec is as good as before.
    #expect(deflated(Array(repeating: 1, count: 500)) != nil)
  }

  @Test func aMessageAtTheLimitIsTakenAndOneBeyondItIsNot() throws {
    let compressed = try #require(deflated(Array(repeating: 0, count: 100_000)))
    #expect(try inflated(compressed, limit: 100_000).get().count == 100_000)
    #expect(inflated(compressed, limit: 99_999) == .failure(.tooLargeInflated))
    #expect(inflated(compressed, limit: 1) == .failure(.tooLargeInflated))
  }

  @Test func aBombIsInflatedNoFurtherThanTheLimit() throws {
    let bomb = try #require(deflated(Array(repeating: 0, count: 64 << 20)))
    #expect(bomb.count < 1 << 20)
    #expect(inflated(bomb, limit: 4 << 20) == .failure(.tooLargeInflated))
    #expect(inflated(try #require(deflated(Array(repeating: 9, count: 500)))) != .success([]))
  }

  @Test func anythingButOneWholeGzipIsRefused() throws {
    let good = try #require(deflated(Array(repeating: 5, count: 5_000)))
    for count in [0, 1, 2, 10, good.count / 2, good.count - 1] {
      #expect(inflated(Array(good.prefix(count))) == .failure(.badCompression))
    }
    #expect(inflated(good + [0]) == .failure(.badCompression))
    #expect(inflated(good + good) == .failure(.badCompression))
    #expect(inflated(Array("no gzip at all".utf8)) == .failure(.badCompression))
    #expect(inflated(good) == .success(Array(repeating: 5, count: 5_000)))
  }

  @Test func noBytesOfAPeerDoHarm() throws {
    var random = SeededRandom(seed: 11)
    let good = try #require(deflated((0..<3_000).map { UInt8(truncatingIfNeeded: $0 % 100) }))
    for _ in 0..<2_000 {
      var bytes = good
      for _ in 0..<Int.random(in: 1...4, using: &random) {
        let index = Int.random(in: 0..<bytes.count, using: &random)
        bytes[index] = UInt8.random(in: 0...255, using: &random)
      }
      if case .success(let message) = inflated(bytes, limit: 10_000) {
        #expect(message.count <= 10_000)
      }
    }
  }
}

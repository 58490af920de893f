// Random bytes through every reader, in memory that ends at a forbidden page: a reader that steps
// over the end dies on the spot. Nothing is expected of the results; nothing may trap.

import CodecReadings
import Glibc
import NodeCore
import RingstoreAPI
import TestSeeds
import Testing

@Suite struct FuzzTests {
  @Test func noBytesCanMakeAReaderTrapOrReadPastTheEnd() throws {
    var random = SplitMix64(seed: TestSeed.value)
    var soup = MessageSoup(random: SplitMix64(seed: TestSeed.value &+ 4))
    let page = try GuardedPage()
    let schema = Schemas.v1KeyValue
    for round in 0..<10_000 {
      // Half noise, half messages with a few bytes of noise in them: those get further.
      var bytes = round % 2 == 0 ? random.bytes(upTo: 64) : soup.message(schema)
      for _ in 0..<(round % 2 == 0 || bytes.isEmpty ? 0 : 3) {
        bytes[Int.random(in: 0..<bytes.count, using: &random)] =
          UInt8.random(in: 0...255, using: &random)
      }
      page.with(bytes) { Self.readEverything($0) }
    }
  }

  private static func readEverything(_ message: UnsafeRawBufferPointer) {
    for pair in TwoReaders.all {
      _ = try? pair.ours(message)
      _ = try? pair.key?(message)
    }
    _ = CallError(code: .unknown, message: "", details: message)
    var router = LinkV1.RouterFrame.Parts(message)
    while (try? router.next()) != nil {}
    var shard = LinkV1.ShardFrame.Parts(message)
    while (try? shard.next()) != nil {}
    // What was not checked ends where it is malformed.
    if let batch = try? V1.CallBatch(message, checkingElements: false) {
      batch.calls.forEach { _ = $0.id }
      batch.calls.encoded.forEach { _ = $0.last }
    }
    var calls = RepeatedBytes.Iterator(in: message, V1.CallBatch.Field.calls)
    while let call = calls.next() { _ = call.last }
  }
}

/// Memory whose last byte is followed by a page that may not be touched.
private final class GuardedPage {
  private let memory: UnsafeMutableRawPointer
  private let size = 64 * 1024

  struct Failure: Error {}

  init() throws {
    guard
      let memory = mmap(
        nil, 2 * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
      memory != MAP_FAILED, mprotect(memory + size, size, PROT_NONE) == 0
    else { throw Failure() }
    self.memory = memory
  }

  deinit { munmap(memory, 2 * size) }

  func with(_ bytes: [UInt8], _ body: (UnsafeRawBufferPointer) -> Void) {
    let start = memory + (size - bytes.count)
    bytes.withUnsafeBytes { source in
      UnsafeMutableRawBufferPointer(start: start, count: bytes.count).copyMemory(from: source)
    }
    body(UnsafeRawBufferPointer(start: start, count: bytes.count))
  }
}

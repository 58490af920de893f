// What the tests of this room share: seeded randomness, borrowed bytes, and buffers as arrays.

import Foundation
import NIOCore
import RingstoreAPI

/// SplitMix64: small, and the same on every machine.
struct SeededRandom: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) {
    state = seed
  }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }

  mutating func chance(_ one: Int, in all: Int) -> Bool {
    Int.random(in: 0..<all, using: &self) < one
  }

  mutating func bytes(upTo count: Int) -> [UInt8] {
    let length = Int.random(in: 0...count, using: &self)
    return (0..<length).map { _ in UInt8.random(in: 0...255, using: &self) }
  }

  /// A number of any size: as many small ones as large ones.
  mutating func number() -> UInt64 {
    next() >> UInt64.random(in: 0...63, using: &self)
  }
}

/// The seed of this run's random tests. A failure prints it; RINGSTORE_TEST_SEED brings it back.
let testSeed: UInt64 =
  ProcessInfo.processInfo.environment["RINGSTORE_TEST_SEED"].flatMap { UInt64($0) }
  ?? UInt64.random(in: 0...UInt64(UInt32.max))

/// The bytes that `write` appends to an empty buffer.
func written(_ write: (inout ByteBuffer) -> Void) -> [UInt8] {
  var buffer = ByteBuffer()
  write(&buffer)
  return Array(buffer.readableBytesView)
}

func hex(_ bytes: some Sequence<UInt8>) -> String {
  bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
}

/// Decodes and describes a message, or says that it is none.
func reading(_ read: () throws -> [String]) -> [String] {
  do { return try read() } catch { return ["malformed"] }
}

extension UnsafeRawBufferPointer {
  var array: [UInt8] { Array(self) }
}

/// The root of the package: the tests read its .proto files, its docs and its scripts.
let packageRoot = URL(fileURLWithPath: #filePath)
  .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

// What the readings and their tests share: what they draw at random, and bytes as text.

import NIOCore
import NodeCore

extension SplitMix64 {
  package mutating func chance(_ one: Int, in all: Int) -> Bool {
    Int.random(in: 0..<all, using: &self) < one
  }

  package mutating func bytes(_ count: Int) -> [UInt8] {
    (0..<count).map { _ in UInt8.random(in: 0...255, using: &self) }
  }

  package mutating func bytes(upTo count: Int) -> [UInt8] {
    bytes(Int.random(in: 0...count, using: &self))
  }

  /// A number of any size: as many small ones as large ones.
  package mutating func number() -> UInt64 {
    next() >> UInt64.random(in: 0...63, using: &self)
  }
}

/// O(bytes), with one allocation: fuzzing spends much of its time here.
package func hex(_ bytes: some Sequence<UInt8>) -> String {
  let digits: StaticString = "0123456789abcdef"
  let text = bytes.flatMap { byte in
    CollectionOfOne(digits.utf8Start[Int(byte >> 4)]) + [digits.utf8Start[Int(byte & 15)]]
  }
  return String(decoding: text, as: UTF8.self)
}

/// The bytes that `write` appends to an empty buffer.
package func written(_ write: (inout ByteBuffer) throws -> Void) rethrows -> [UInt8] {
  var buffer = ByteBuffer()
  try write(&buffer)
  return Array(buffer.readableBytesView)
}

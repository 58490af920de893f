// One request from the parser: the words of a command, in place. A value; its bytes are a slice of
// the read buffer, so it should not be kept for long.

import Commands
import NIOCore
import RingstoreAPI

package struct LineRequest {
  private let bytes: ByteBuffer
  /// The range of each word, counted from the first readable byte.
  private let words: [Range<Int>]

  /// - Precondition: the ranges are within the bytes.
  init(bytes: ByteBuffer, words: [Range<Int>]) {
    self.bytes = bytes
    self.words = words
  }

  /// Lends the words; they are valid during the call only.
  package func withWords<Result>(_ body: (CommandWords) -> Result) -> Result {
    bytes.withUnsafeReadableBytes { bytes in
      withUnsafeTemporaryAllocation(of: UnsafeRawBufferPointer.self, capacity: words.count) {
        let (_, end) = $0.initialize(
          from: words.lazy.map { UnsafeRawBufferPointer(rebasing: bytes[$0]) })
        return body(CommandWords(UnsafeBufferPointer(rebasing: $0[..<end])))
      }
    }
  }

  /// Copies, for tests and logs.
  package var copies: [[UInt8]] { withWords { words in words.indices.map { Array(words[$0]) } } }
}

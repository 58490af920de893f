// One request as the parser hands it out: the words of a command, in place. A value; its bytes are a
// slice of what was read, so it should not be kept for long.

import NIOCore

package struct LineRequest {
  private let bytes: ByteBuffer
  /// Where each word lies, counted from the first readable byte.
  private let words: [Range<Int>]

  /// - Precondition: the ranges lie within the bytes.
  init(bytes: ByteBuffer, words: [Range<Int>]) {
    self.bytes = bytes
    self.words = words
  }

  /// Lends the words; they are valid during the call only.
  package func withWords<Result>(_ body: (LineWords) -> Result) -> Result {
    bytes.withUnsafeReadableBytes { body(LineWords(bytes: $0, words: words)) }
  }

  /// Copies, for tests and logs.
  package var copies: [[UInt8]] { withWords { words in words.indices.map { Array(words[$0]) } } }
}

/// The words of a request, the command's name first. At least one.
package struct LineWords {
  private let bytes: UnsafeRawBufferPointer
  private let words: [Range<Int>]

  init(bytes: UnsafeRawBufferPointer, words: [Range<Int>]) {
    self.bytes = bytes
    self.words = words
  }

  package var count: Int { words.count }
  package var indices: Range<Int> { words.indices }

  package subscript(_ index: Int) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: bytes[words[index]])
  }

  /// Whether a word is this one, whatever the case of its letters.
  package func isWord(_ index: Int, _ name: String) -> Bool {
    LineText.isSame(self[index], name)
  }
}

// The words of a command in place, its name first. A value; valid as long as the bytes that were
// lent.

import RingstoreAPI

package struct CommandWords {
  private let words: UnsafeBufferPointer<UnsafeRawBufferPointer>

  package init(_ words: UnsafeBufferPointer<UnsafeRawBufferPointer>) {
    self.words = words
  }

  package var count: Int { words.count }
  package var indices: Range<Int> { words.indices }
  package subscript(_ index: Int) -> UnsafeRawBufferPointer { words[index] }

  /// The words from `start` on, as the elements of a repeated field.
  package func values(from start: Int) -> RepeatedBytes {
    RepeatedBytes(UnsafeBufferPointer(rebasing: words[start...]))
  }

  /// Whether a word is this one, whatever the case of its letters.
  package func isWord(_ index: Int, _ name: String) -> Bool { self[index].isWord(name) }

  package func integer(_ index: Int, _ what: String) throws(ArgumentError) -> Int64 {
    guard let number = Int64(canonical: self[index]) else {
      throw .notAnInteger(what: what, word: Array(self[index]))
    }
    return number
  }

  /// Lends copies as words.
  package static func withWords<R, Failure: Error>(
    _ copies: [[UInt8]], _ body: (CommandWords) throws(Failure) -> R
  ) throws(Failure) -> R {
    let bytes = UnsafeMutableRawBufferPointer.allocate(
      byteCount: copies.reduce(0) { $0 + $1.count }, alignment: 1)
    defer { bytes.deallocate() }
    var (words, end) = ([UnsafeRawBufferPointer](), 0)
    for copy in copies {
      let word = UnsafeMutableRawBufferPointer(rebasing: bytes[end..<end + copy.count])
      word.copyBytes(from: copy)
      words.append(UnsafeRawBufferPointer(word))
      end += copy.count
    }
    let outcome: Result<R, Failure> = words.withUnsafeBufferPointer { words in
      do throws(Failure) {
        return .success(try body(CommandWords(words)))
      } catch {
        return .failure(error)
      }
    }
    return try outcome.get()
  }
}

extension UnsafeRawBufferPointer {
  /// Whether bytes are this ASCII text, whatever the case of the letters.
  package func isWord(_ text: String) -> Bool {
    count == text.utf8.count
      && zip(self, text.utf8).allSatisfy { Self.capital($0) == Self.capital($1) }
  }

  private static func capital(_ byte: UInt8) -> UInt8 {
    (0x61...0x7a).contains(byte) ? byte - 0x20 : byte
  }
}

extension Int64 {
  /// The integer whose decimal form this is; nil for anything else. As with values, a number has one
  /// form: `05`, `-0` and `+5` are none.
  package init?(canonical bytes: UnsafeRawBufferPointer) {
    guard let first = bytes.first, bytes.count <= 20 else { return nil }
    let isNegative = first == UInt8(ascii: "-")
    let digits = bytes[(isNegative ? 1 : 0)...]
    guard let leading = digits.first else { return nil }
    // A zero stands alone, without a sign.
    guard leading != UInt8(ascii: "0") || bytes.count == 1 else { return nil }
    var number: Int64 = 0
    for byte in digits {
      guard (0x30...0x39).contains(byte) else { return nil }
      let (product, isTooLarge) = number.multipliedReportingOverflow(by: 10)
      let digit = Int64(byte - 0x30)
      // Counted away from zero on the side of the sign: the smallest number has no positive twin.
      let (sum, isPast) = product.addingReportingOverflow(isNegative ? -digit : digit)
      guard !isTooLarge, !isPast else { return nil }
      number = sum
    }
    self = number
  }
}

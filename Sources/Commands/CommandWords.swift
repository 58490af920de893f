// The words of a command in place, its name first. A value; valid as long as the borrowed bytes.

import RingstoreAPI
import TextForms

package struct CommandWords {
  private let words: UnsafeBufferPointer<UnsafeRawBufferPointer>
  /// The words after the required ones.
  private(set) var options = WordOptions()

  package init(_ words: UnsafeBufferPointer<UnsafeRawBufferPointer>) {
    self.words = words
  }

  /// The same with options that have been read.
  func with(_ options: WordOptions) -> CommandWords {
    var words = self
    words.options = options
    return words
  }

  package var count: Int { words.count }
  package var indices: Range<Int> { words.indices }
  package subscript(_ index: Int) -> UnsafeRawBufferPointer { words[index] }

  /// The words from `start` on, as the elements of a repeated field.
  package func values(from start: Int) -> RepeatedBytes {
    RepeatedBytes(UnsafeBufferPointer(rebasing: words[start...]))
  }

  /// The words from `start` on, up to `end`.
  package func values(from start: Int, to end: Int) -> RepeatedBytes {
    RepeatedBytes(UnsafeBufferPointer(rebasing: words[start..<end]))
  }

  /// Whether a word is this one, case-insensitive.
  package func isWord(_ index: Int, _ name: String) -> Bool { self[index].isWord(name) }

  package func integer(_ index: Int, _ what: String) throws(ArgumentError) -> Int64 {
    guard let number = Int64(canonical: self[index]) else {
      throw .notAnInteger(what: what, word: Array(self[index]))
    }
    return number
  }

  /// A number of seconds, in milliseconds.
  func seconds(_ index: Int, _ what: String) throws(ArgumentError) -> Int64 {
    let (millis, overflow) = try integer(index, what).multipliedReportingOverflow(by: 1_000)
    if overflow { throw .tooManySeconds(what: what) }
    return millis
  }

  /// How many of something.
  package func count(_ index: Int, _ what: String) throws(ArgumentError) -> UInt32 {
    guard let count = UInt32(exactly: try integer(index, what)) else {
      throw .notACount(what: what, word: Array(self[index]))
    }
    return count
  }

  /// Whether a word is the second of the two allowed words.
  func choice(
    _ index: Int, _ what: String, _ first: String, _ second: String
  ) throws(ArgumentError) -> Bool {
    if isWord(index, second) { return true }
    guard isWord(index, first) else {
      throw .notAChoice(what: what, first, second, word: Array(self[index]))
    }
    return false
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
  /// Whether bytes are this ASCII text, case-insensitive.
  package func isWord(_ text: String) -> Bool {
    count == text.utf8.count
      && zip(self, text.utf8).allSatisfy { Self.capital($0) == Self.capital($1) }
  }

  private static func capital(_ byte: UInt8) -> UInt8 {
    (0x61...0x7a).contains(byte) ? byte - 0x20 : byte
  }
}

extension Int64 {
  /// The integer with this decimal form; nil for anything else. As with values, a number has one
  /// form: `05`, `-0` and `+5` are not numbers.
  package init?(canonical bytes: UnsafeRawBufferPointer) {
    guard let number = DecimalInteger.parse(bytes) else { return nil }
    self = number
  }
}

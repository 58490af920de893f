// From a line to its words, as redis-cli splits them. Bytes in, bytes out; pure, any thread.
//
//   line    = blank* (word (blank+ word)*)? blank*
//   word    = plain+ | '"' double* '"' | "'" single* "'"
//   double  = any byte but '"' and '\' | '\x' hex hex | '\' one of n r t a b | '\' any other byte
//   single  = any byte but "'" | "\'"
//
// A quote may also open after plain bytes (a"b c" is one word); after a closing quote there must be
// a blank or the line's end. ShownReply.quoted prints a double-quoted word for the same bytes.

import TextForms

package enum WordSplitter {
  /// What is wrong with a line.
  package enum Problem: Error, Sendable, Hashable {
    case quoteNotClosed
    case noBlankBehindQuote

    package var sentence: String {
      switch self {
      case .quoteNotClosed: "A quote is not closed."
      case .noBlankBehindQuote: "A closing quote must be followed by a space."
      }
    }
  }

  /// The words of a line; none if it is blank. O(length).
  package static func words(_ line: some Sequence<UInt8>) throws(Problem) -> [[UInt8]] {
    var scan = Scan(rest: Array(line)[...])
    var words: [[UInt8]] = []
    while let word = try scan.nextWord() { words.append(word) }
    return words
  }

  /// As C's isspace has it.
  static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0d).contains(byte) }

  private struct Scan {
    var rest: ArraySlice<UInt8>

    mutating func nextWord() throws(Problem) -> [UInt8]? {
      rest = rest.drop(while: isBlank)
      guard !rest.isEmpty else { return nil }
      var word: [UInt8] = []
      while let byte = rest.popFirst(), !isBlank(byte) {
        switch byte {
        case UInt8(ascii: "\""):
          try readDouble(into: &word)
          return word
        case UInt8(ascii: "'"):
          try readSingle(into: &word)
          return word
        default: word.append(byte)
        }
      }
      return word
    }

    private mutating func readDouble(into word: inout [UInt8]) throws(Problem) {
      while let byte = rest.popFirst() {
        switch byte {
        case UInt8(ascii: "\""): return try endQuote()
        case UInt8(ascii: "\\"):
          guard let escaped = escaped() else { throw .quoteNotClosed }
          word.append(escaped)
        default: word.append(byte)
        }
      }
      throw .quoteNotClosed
    }

    /// The byte after a backslash; nil at the line's end.
    private mutating func escaped() -> UInt8? {
      guard let letter = rest.popFirst() else { return nil }
      switch letter {
      case UInt8(ascii: "n"): return 0x0a
      case UInt8(ascii: "r"): return 0x0d
      case UInt8(ascii: "t"): return 0x09
      case UInt8(ascii: "a"): return 0x07
      case UInt8(ascii: "b"): return 0x08
      case UInt8(ascii: "x"):
        guard let byte = Hexadecimal.bytes(Array(rest.prefix(2)))?.first else { return letter }
        rest = rest.dropFirst(2)
        return byte
      default: return letter
      }
    }

    private mutating func readSingle(into word: inout [UInt8]) throws(Problem) {
      while let byte = rest.popFirst() {
        if byte == UInt8(ascii: "'") { return try endQuote() }
        if byte == UInt8(ascii: "\\"), rest.first == UInt8(ascii: "'") {
          rest = rest.dropFirst()
          word.append(UInt8(ascii: "'"))
        } else {
          word.append(byte)
        }
      }
      throw .quoteNotClosed
    }

    private func endQuote() throws(Problem) {
      if let next = rest.first, !isBlank(next) { throw .noBlankBehindQuote }
    }
  }
}

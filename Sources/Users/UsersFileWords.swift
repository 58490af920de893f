// The words of a line of the users file. Pure; any thread.

import TextForms

enum UsersFileWords {
  enum Failure: String, Error {
    case openQuote = "a quote is not closed"
    case badEscape = "an escape is none of \\\\ \\\" \\n \\r \\t \\xHH"
    case control = "it has a control character"
    case glued = "a quote must be a word of its own"
  }

  /// The words of a line up to a comment. O(bytes).
  static func split(_ line: ArraySlice<UInt8>) throws(Failure) -> [[UInt8]] {
    var rest = line
    // The line ends of other systems.
    if rest.last == UInt8(ascii: "\r") { rest.removeLast() }
    var words: [[UInt8]] = []
    while let byte = rest.first {
      switch byte {
      case UInt8(ascii: " "), UInt8(ascii: "\t"): rest.removeFirst()
      case UInt8(ascii: "#"): return words
      case UInt8(ascii: "\""):
        rest.removeFirst()
        words.append(try quoted(&rest))
      default: words.append(try plain(&rest))
      }
    }
    return words
  }

  private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }

  private static func plain(_ rest: inout ArraySlice<UInt8>) throws(Failure) -> [UInt8] {
    var word: [UInt8] = []
    while let byte = rest.first, !isBlank(byte) {
      if byte == UInt8(ascii: "\"") { throw .glued }
      if byte < 0x20 || byte == 0x7f { throw .control }
      word.append(byte)
      rest.removeFirst()
    }
    return word
  }

  private static func quoted(_ rest: inout ArraySlice<UInt8>) throws(Failure) -> [UInt8] {
    var word: [UInt8] = []
    while let byte = rest.popFirst() {
      switch byte {
      case UInt8(ascii: "\""):
        if let next = rest.first, !isBlank(next) { throw .glued }
        return word
      case UInt8(ascii: "\\"): word.append(try escaped(&rest))
      case 0..<0x20, 0x7f: throw .control
      default: word.append(byte)
      }
    }
    throw .openQuote
  }

  private static func escaped(_ rest: inout ArraySlice<UInt8>) throws(Failure) -> UInt8 {
    switch rest.popFirst() {
    case UInt8(ascii: "\\"): return UInt8(ascii: "\\")
    case UInt8(ascii: "\""): return UInt8(ascii: "\"")
    case UInt8(ascii: "n"): return UInt8(ascii: "\n")
    case UInt8(ascii: "r"): return UInt8(ascii: "\r")
    case UInt8(ascii: "t"): return UInt8(ascii: "\t")
    case UInt8(ascii: "x"):
      guard let high = rest.popFirst().flatMap(Hexadecimal.value),
        let low = rest.popFirst().flatMap(Hexadecimal.value)
      else { throw .badEscape }
      return high << 4 | low
    default: throw .badEscape
    }
  }
}

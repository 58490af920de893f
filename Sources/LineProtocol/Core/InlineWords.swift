// A command on one line, for people: words separated by blanks, quoted as in a shell.
//
//   line    = *( blank / word )              blank: space, tab, VT, FF, CR
//   word    = 1*( plain / "\" any / single / double / dollar )
//   single  = "'" *any-but-' "'"             as it stands
//   double  = '"' *( any / escape ) '"'      \" \\ \$ \` lose the backslash, any other keeps it
//   dollar  = "$'" *( any / escape ) "'"     \n \r \t \a \b \e \\ \' \" \xHH are one byte each
//
// Nothing is expanded: no variables, no globs, no comments. Pure; one line at a time.

import NIOCore
import TextForms

struct InlineWords {
  /// The words' bytes, one after another; never more than the line has.
  private(set) var bytes = ByteBuffer()
  private(set) var words: [Range<Int>] = []

  private let line: UnsafeRawBufferPointer
  private var place = 0

  /// - Throws: `openQuote`, `strayCarriageReturn`. O(line).
  init(_ line: UnsafeRawBufferPointer) throws(LineFailure) {
    self.line = line
    bytes.reserveCapacity(line.count)
    while skipBlanks() {
      let start = bytes.writerIndex
      try readWord()
      words.append(start..<bytes.writerIndex)
    }
  }

  private mutating func take() -> UInt8? {
    guard place < line.count else { return nil }
    defer { place += 1 }
    return line[place]
  }

  private var next: UInt8? { place < line.count ? line[place] : nil }

  /// Returns whether a word follows.
  private mutating func skipBlanks() -> Bool {
    while let byte = next, LineText.isBlank(byte) { place += 1 }
    return place < line.count
  }

  private mutating func readWord() throws(LineFailure) {
    while let byte = next, !LineText.isBlank(byte) {
      place += 1
      switch byte {
      case UInt8(ascii: "'"): try readSingle()
      case UInt8(ascii: "\""): try readDouble()
      case UInt8(ascii: "$") where next == UInt8(ascii: "'"):
        place += 1
        try readDollar()
      case UInt8(ascii: "\\"):
        // At the end of the line a shell would continue with the next line; here the backslash is
        // an ordinary character.
        bytes.writeInteger(take() ?? byte)
      default: bytes.writeInteger(byte)
      }
    }
  }

  private mutating func readSingle() throws(LineFailure) {
    while let byte = take() {
      if byte == UInt8(ascii: "'") { return }
      bytes.writeInteger(byte)
    }
    throw .openQuote
  }

  private mutating func readDouble() throws(LineFailure) {
    while let byte = take() {
      if byte == UInt8(ascii: "\"") { return }
      if byte == UInt8(ascii: "\\"), let escaped = next, "\"\\$`".utf8.contains(escaped) {
        place += 1
        bytes.writeInteger(escaped)
      } else {
        bytes.writeInteger(byte)
      }
    }
    throw .openQuote
  }

  private mutating func readDollar() throws(LineFailure) {
    while let byte = take() {
      if byte == UInt8(ascii: "'") { return }
      guard byte == UInt8(ascii: "\\"), let escaped = take() else {
        bytes.writeInteger(byte)
        continue
      }
      if escaped == UInt8(ascii: "x"), let value = readHexadecimal() {
        bytes.writeInteger(value)
      } else if let value = LineEscapes.byte(of: escaped) {
        bytes.writeInteger(value)
      } else {
        bytes.writeInteger(byte)
        bytes.writeInteger(escaped)
      }
    }
    throw .openQuote
  }

  /// Two hexadecimal digits; otherwise nothing is consumed.
  private mutating func readHexadecimal() -> UInt8? {
    guard place + 2 <= line.count, let high = Hexadecimal.value(of: line[place]),
      let low = Hexadecimal.value(of: line[place + 1])
    else { return nil }
    place += 2
    return high << 4 | low
  }
}

/// The escapes of `$'...'`, both ways.
enum LineEscapes {
  private static let letters: [(letter: UInt8, byte: UInt8)] = [
    (UInt8(ascii: "n"), 0x0a), (UInt8(ascii: "r"), 0x0d), (UInt8(ascii: "t"), 0x09),
    (UInt8(ascii: "a"), 0x07), (UInt8(ascii: "b"), 0x08), (UInt8(ascii: "e"), 0x1b),
    (UInt8(ascii: "\\"), 0x5c), (UInt8(ascii: "'"), 0x27), (UInt8(ascii: "\""), 0x22),
  ]

  static func byte(of letter: UInt8) -> UInt8? {
    letters.first { $0.letter == letter }?.byte
  }

  /// Any bytes as one word of an inline command, without line breaks.
  static func quoted(_ bytes: UnsafeRawBufferPointer) -> [UInt8] {
    var text = Array("$'".utf8)
    for byte in bytes {
      switch byte {
      case 0x22: text.append(byte)
      case 0x0a, 0x0d, 0x09, 0x07, 0x08, 0x1b, 0x5c, 0x27:
        text.append(UInt8(ascii: "\\"))
        text += letters.filter { $0.byte == byte }.prefix(1).map(\.letter)
      case 0x20...0x7e: text.append(byte)
      default:
        text += Array("\\x".utf8) + Hexadecimal.digits([byte])
      }
    }
    text.append(UInt8(ascii: "'"))
    return text
  }
}

// KEYS takes a regular expression in the syntax of Python's `re`, and the store's engine is RE2.
// Most of the two languages is the same. If both accept an expression with different meanings, or
// RE2 only has another spelling, it is rewritten here:
//
//   Python                     RE2                     where
//   \Z                         \z                      outside of classes
//   x{,3}  x{,}                x{0,3}  x{0,}           outside of classes
//   \s  \S                     [\s\x0b]  [^\s\x0b]     outside of classes
//   \s  \b                     \s\x0b  \x08            in a class
//   [                          \[                      in a class: RE2 would see `[:alpha:]`
//
// What RE2 doesn't support (look-around, back-references) is left as it is, and refused by the
// node. `\S` within a class is also left as it is; it treats the vertical tab as no space. Pure;
// any thread.

import RingstoreAPI

struct PythonPattern {
  private var rest: Slice<UnsafeRawBufferPointer>
  private var text: [UInt8] = []

  /// The expression in RE2's syntax: at most five times as long. O(length).
  static func translated(_ pattern: UnsafeRawBufferPointer) -> [UInt8] {
    var translation = PythonPattern(rest: pattern[...])
    translation.run()
    return translation.text
  }

  /// The error for a pattern that begins with `*`, as globs may and expressions can't; nil: none.
  static func refusalOfGlob(_ pattern: UnsafeRawBufferPointer) -> LineError? {
    guard pattern.first == UInt8(ascii: "*") else { return nil }
    var expression: [UInt8] = []
    for byte in pattern.prefix(shownBytesMax) {
      switch byte {
      case UInt8(ascii: "*"): expression += Array(".*".utf8)
      case UInt8(ascii: "?"): expression.append(UInt8(ascii: "."))
      default: expression.append(byte)
      }
    }
    let error = CallError.badPattern("KEYS takes a regular expression here, and this is a glob.")
    guard pattern.count <= shownBytesMax else { return LineError(error) }
    return LineError(
      LineError(error).text + Array(" Did you mean KEYS ".utf8) + expression
        + Array(", or SCAN 0 MATCH ".utf8) + pattern + Array("?".utf8))
  }

  /// Longer patterns are not shown.
  private static let shownBytesMax = 64

  private init(rest: Slice<UnsafeRawBufferPointer>) {
    self.rest = rest
    text.reserveCapacity(rest.count)
  }

  private mutating func run() {
    while let byte = rest.popFirst() {
      switch byte {
      case UInt8(ascii: "\\"): takeEscape()
      case UInt8(ascii: "["): takeClass()
      case UInt8(ascii: "{") where isOpenAtTheBottom: text += Array("{0".utf8)
      default: text.append(byte)
      }
    }
  }

  private mutating func takeEscape() {
    switch rest.popFirst() {
    case UInt8(ascii: "Z"): text += Array("\\z".utf8)
    case UInt8(ascii: "s"): text += Array("[\\s\\x0b]".utf8)
    case UInt8(ascii: "S"): text += Array("[^\\s\\x0b]".utf8)
    case let escaped: appendEscape(escaped)
    }
  }

  /// Up to and including the `]` that ends it. A `]` right after the opening is a member.
  private mutating func takeClass() {
    text.append(UInt8(ascii: "["))
    if rest.first == UInt8(ascii: "^") { text.append(rest.removeFirst()) }
    if rest.first == UInt8(ascii: "]") { text.append(rest.removeFirst()) }
    while let byte = rest.popFirst() {
      switch byte {
      case UInt8(ascii: "]"):
        text.append(byte)
        return
      case UInt8(ascii: "["): text += Array("\\[".utf8)
      case UInt8(ascii: "\\"):
        switch rest.popFirst() {
        case UInt8(ascii: "s"): text += Array("\\s\\x0b".utf8)
        case UInt8(ascii: "b"): text += Array("\\x08".utf8)
        case let escaped: appendEscape(escaped)
        }
      default: text.append(byte)
      }
    }
  }

  private mutating func appendEscape(_ escaped: UInt8?) {
    text.append(UInt8(ascii: "\\"))
    if let escaped { text.append(escaped) }
  }

  /// Whether `,}` or `,3}` follows. Any other brace has the same meaning in RE2, or is an ordinary
  /// character.
  private var isOpenAtTheBottom: Bool {
    guard rest.first == UInt8(ascii: ",") else { return false }
    let behind = rest.dropFirst().drop { (0x30...0x39).contains($0) }
    return behind.first == UInt8(ascii: "}")
  }
}

// Text of other programs, such as servers, as it is written to a terminal: control characters are
// escaped, so that a message can't change colours or the window's title, or add lines of its own.
// Pure functions; any thread.

package enum VisibleText {
  /// Text of several lines: line ends and tabs stay. O(bytes).
  package static func lines(_ text: String) -> String { shown(text) { $0 != "\n" && $0 != "\t" } }

  /// Text of one line. O(bytes).
  package static func line(_ text: String) -> String { shown(text) { _ in true } }

  private static func shown(_ text: String, _ isEscaped: (Unicode.Scalar) -> Bool) -> String {
    guard text.unicodeScalars.contains(where: { isControl($0) && isEscaped($0) }) else {
      return text
    }
    var shown = String.UnicodeScalarView()
    for scalar in text.unicodeScalars {
      if isControl(scalar), isEscaped(scalar) {
        shown.append(contentsOf: escape(scalar).unicodeScalars)
      } else {
        shown.append(scalar)
      }
    }
    return String(shown)
  }

  /// C0, DEL and C1; what ends lines; what changes the direction of writing; what has no width.
  private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0..<0x20, 0x7f...0x9f, 0x2028, 0x2029: true
    case 0x061c, 0x200b...0x200f, 0x202a...0x202e, 0x2060...0x206f, 0xfeff, 0xe0000...0xe007f: true
    default: false
    }
  }

  private static func escape(_ scalar: Unicode.Scalar) -> String {
    let digits = String(scalar.value, radix: 16)
    guard scalar.value < 0x100 else { return "\\u{\(digits)}" }
    return digits.count == 1 ? "\\x0\(digits)" : "\\x\(digits)"
  }
}

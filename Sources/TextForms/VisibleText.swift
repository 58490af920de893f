// Text from others, a server say, as a terminal may get it: control characters are shown and not
// obeyed, so that a message can't recolour the screen, retitle the window or add lines of its own.
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

  /// C0, DEL and C1, and what ends lines or turns the direction of writing.
  private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0..<0x20, 0x7f...0x9f, 0x2028...0x202e, 0x2066...0x2069: true
    default: false
    }
  }

  private static func escape(_ scalar: Unicode.Scalar) -> String {
    let digits = String(scalar.value, radix: 16)
    guard scalar.value < 0x100 else { return "\\u{\(digits)}" }
    return digits.count == 1 ? "\\x0\(digits)" : "\\x\(digits)"
  }
}

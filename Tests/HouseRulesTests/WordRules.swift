// Words and names: expressions that speak of machinery as of persons, or that are old or unclear,
// and the one style of the tests' names. Pure functions, so that each can be shown to fail.

enum WordRules {
  /// Expressions that code, comments, pages and messages don't use, each with words to use instead.
  /// In a name they are recognised as neighbouring parts of it, in camel case and with underscores.
  static let expressions: [(words: [Substring], instead: String)] =
    ([
      "nobody": "no client, no call, no process", "nobodys": "of no client",
      "somebody": "a client, an operator", "anybody": "any client",
      "everybody": "every client, all callers", "whoever": "the caller that",
      "for ever": "without an end, forever",
      "go on": "continue", "goes on": "continues", "went on": "continued",
      "going on": "continuing", "gone on": "continued",
      "let go": "release", "lets go": "releases", "letting go": "releasing",
      "carry out": "execute", "carries out": "executes", "carried out": "executed",
      "sign of life": "a frame, a reply", "signs of life": "frames, replies",
      "without a word": "without a message", "in vain": "without a result",
      "mend": "fix, repair", "mends": "fixes", "mended": "fixed",
      "answer": "a reply, to reply", "answers": "replies", "answered": "has a reply, replied",
      "answering": "replying", "unanswered": "without a reply",
      "anew": "again", "held up": "waits, is delayed", "holding up": "delaying",
    ] as KeyValuePairs).map { (words: $0.key.split(separator: " "), instead: $0.value) }

  private static let byFirst = Dictionary(grouping: expressions) { $0.words[0] }

  /// Files that may use them: the changelog quotes lines of the log as they were, and this file.
  static let exceptions: Set<String> = [
    "docs/CHANGELOG.md", "Tests/HouseRulesTests/WordRules.swift",
  ]

  static func violations(in file: SourceFile) -> [String] {
    guard !file.isGenerated, !exceptions.contains(file.path) else { return [] }
    return file.lines.enumerated().flatMap { number, line in
      found(in: line).map {
        "\(file.path):\(number + 1): \"\($0.words.joined(separator: " "))\": \($0.instead)"
      }
    }
  }

  /// The expressions in a line.
  private static func found(in line: Substring) -> [(words: [Substring], instead: String)] {
    let parts = parts(of: line)
    return parts.indices.flatMap { start in
      (byFirst[parts[start].word] ?? []).filter { isAt(start, $0.words, in: parts) }
    }
  }

  private static func isAt(_ start: Int, _ words: [Substring], in parts: [Part]) -> Bool {
    let end = start + words.count
    guard end <= parts.count, zip(parts[start..<end], words).allSatisfy({ $0.word == $1 }) else {
      return false
    }
    let inner = parts[start + 1..<end]
    if inner.allSatisfy({ $0.separator == .inName }) { return true }
    // Words of the text, not the ends of names: `let goAway` isn't "let" and "go".
    return inner.allSatisfy { $0.separator == .space } && parts[start].separator != .inName
      && (end == parts.count || parts[end].separator != .inName)
  }

  private enum Separator { case space, inName, other }

  private struct Part {
    /// In lower case.
    let word: Substring
    /// What is between it and the word before it.
    let separator: Separator
  }

  private static func parts(of line: Substring) -> [Part] {
    var parts: [Part] = []
    var (word, separator, isLower, capitals) = ("", Separator.other, false, 0)
    func end(_ next: Separator) {
      if !word.isEmpty {
        parts.append(Part(word: word[...], separator: separator))
        (word, separator) = ("", next)
      } else if separator != next {
        separator = .other
      }
      (isLower, capitals) = (false, 0)
    }
    for byte in line.utf8 {
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"):
        // The last of several capitals begins the next part: `OnANewLink`.
        if capitals > 1 {
          let first = word.removeLast()
          end(.inName)
          word.append(first)
        }
        capitals = 0
        word.unicodeScalars.append(Unicode.Scalar(byte))
        isLower = true
      case UInt8(ascii: "A")...UInt8(ascii: "Z"):
        if isLower { end(.inName) }
        capitals += 1
        word.unicodeScalars.append(Unicode.Scalar(byte | 0x20))
      case UInt8(ascii: "_"): end(.inName)
      case UInt8(ascii: " "): end(.space)
      default: end(.other)
      }
    }
    end(.other)
    return parts
  }

  // Put together here, or this file would break its own rule.
  private static let otherForms = ["@Te" + "st(\"", "@Su" + "ite(\"", "fu" + "nc `"]

  /// Tests and suites with another name than the one in the code, or with one in backticks.
  static func otherNames(in file: SourceFile) -> [String] {
    guard file.path.hasPrefix("Tests/"), file.path.hasSuffix(".swift") else { return [] }
    return file.lines.enumerated().compactMap { number, line in
      guard otherForms.contains(where: { line.contains($0) }) else { return nil }
      return "\(file.path):\(number + 1): a test has one name, in camel case"
    }
  }

  /// Words that names of tests don't use, each with words to use instead.
  private static let wordsOfNames: [Substring: String] = [
    "told": "gets, is reported, is shown", "asked": "gets a call, is requested",
  ]

  /// Names of tests, and of helpers beside them, that use one of these.
  static func unclearNames(in file: SourceFile) -> [String] {
    let isSwift = file.path.hasSuffix("Tests.swift")
    guard file.path.hasPrefix("Tests/"), isSwift || file.path.hasSuffix(".py") else { return [] }
    let declaration = isSwift ? "func " : "def test_"
    return file.lines.enumerated().flatMap { number, line -> [String] in
      guard let start = line.firstRange(of: declaration)?.upperBound else { return [] }
      let name = line[start...].prefix { $0.isLetter || $0.isNumber || $0 == "_" }
      return parts(of: name).compactMap { part in
        wordsOfNames[part.word].map {
          "\(file.path):\(number + 1): \"\(part.word)\" in the name of a test: \($0)"
        }
      }
    }
  }
}

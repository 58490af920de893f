// Quoting in inline commands, as a shell has it.

import LineProtocol
import Testing

@Suite struct InlineWordsTests {
  /// Lines and their words, joined by `|`.
  static let cases: [(line: String, words: String)] = [
    ("a b c", "a|b|c"), (" a \t b ", "a|b"), ("''", ""), ("a '' b", "a||b"), ("\"\"", ""),
    ("'a b'", "a b"), ("'a\\nb'", "a\\nb"), ("'it'\\''s'", "it's"), ("a'b c'd", "ab cd"),
    ("\"a b\"", "a b"), ("\"a\\\"b\"", "a\"b"), ("\"a\\\\b\"", "a\\b"), ("\"a\\nb\"", "a\\nb"),
    ("\"\\$x\\`\"", "$x`"), ("\"it's\"", "it's"), ("'say \"hi\"'", "say \"hi\""),
    ("a\\ b", "a b"), ("a\\\\b", "a\\b"), ("\\n", "n"), ("a\\", "a\\"), ("$x ${y} *", "$x|${y}|*"),
    ("$'a\\nb'", "a\nb"), ("$'\\r\\t\\a\\b\\e\\\\\\'\\\"'", "\r\t\u{7}\u{8}\u{1b}\\'\""),
    ("$'\\x41\\x7a'", "Az"), ("$'\\x4'", "\\x4"), ("$'\\q'", "\\q"), ("a$'b'c", "abc"),
    ("# no comment", "#|no|comment"),
  ]

  @Test(arguments: cases.indices)
  func aLineHasTheWordsThatAShellSees(_ index: Int) {
    let (line, words) = Self.cases[index]
    #expect(parse(line + "\n") == [words])
  }

  @Test(arguments: ["'", "\"", "$'", "a 'b", "a \"b\\\"", "$'a\\'", "'a'\"b"])
  func aQuoteThatIsNotClosedIsSaidAndTheConnectionContinues(_ line: String) {
    #expect(parse(line + "\nPING\n") == ["-a quote is not closed", "PING"])
  }
}

// From Python's regular expressions to RE2's. That the translated ones match as Python's re does is
// tested with Python itself, in Tests/RealClients/test_line_protocol_keys.py.

import Testing

@testable import LineProtocol

@Suite struct `Python's patterns` {
  private func translated(_ pattern: String) -> String {
    Array(pattern.utf8).withUnsafeBytes {
      String(decoding: PythonPattern.translated($0), as: UTF8.self)
    }
  }

  @Test(arguments: [
    "", "user:.*", "^a|b$", "(ab)+?", #"\d\D\w\W\b\A\."#, #"\\Z"#, #"\\s"#, "a{2}", "a{1,}",
    "a{1,2}",
    "{", "{,", "a{,x}", "a{ ,2}", "{}", #"a\{,2}"#, "[abc]", "[^]x]", "[]x]", "[{,2}]", #"[\]]\-"#,
    "[a-z", #"[a\"#, "a]", #"\"#,
  ])
  func whatRE2TakesAsPythonDoesStaysAsItIs(_ pattern: String) {
    #expect(translated(pattern) == pattern)
  }

  @Test(arguments: [
    (#"a\Z"#, #"a\z"#), (#"\Z|b\Z"#, #"\z|b\z"#), ("a{,3}", "a{0,3}"), ("a{,}b", "a{0,}b"),
    ("(a{,12})+", "(a{0,12})+"), (#"\s+"#, #"[\s\x0b]+"#), (#"\S"#, #"[^\s\x0b]"#),
    (#"[\s,]"#, #"[\s\x0b,]"#), (#"[^\s]\s"#, #"[^\s\x0b][\s\x0b]"#), (#"[\b]\b"#, #"[\x08]\b"#),
    ("[[:alpha:]]", #"[\[:alpha:]]"#), ("[][]", #"[]\[]"#), (#"[\[\]]\Z"#, #"[\[\]]\z"#),
  ])
  func whatRE2SpellsInAnotherWayIsWrittenAgain(_ pattern: String, _ rewritten: String) {
    #expect(translated(pattern) == rewritten)
  }

  @Test func bytesOfAnyKindPassAndTheTextGrowsAtMostFivefold() {
    for byte in UInt8.min...UInt8.max {
      for pattern in [
        [byte], [0x5c, byte], [0x5b, byte], [0x5b, 0x5d, byte], [0x5b, 0x5c, byte],
      ] {
        let rewritten = pattern.withUnsafeBytes { PythonPattern.translated($0) }
        #expect((pattern.count...5 * pattern.count).contains(rewritten.count))
      }
    }
  }
}

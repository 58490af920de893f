// What a terminal gets of text from others.

import Testing
import TextForms

@Suite struct VisibleTextTests {
  @Test(arguments: [
    ("plain, with umlauts: \u{e4}\u{f6}", "plain, with umlauts: \u{e4}\u{f6}"),
    ("a\u{1b}[31mb", "a\\x1b[31mb"), ("\u{7}\u{7f}\r", "\\x07\\x7f\\x0d"),
    ("\u{9b}2J", "\\x9b2J"), ("x\u{202e}y", "x\\u{202e}y"), ("", ""),
  ])
  func controlsAreShownAndNotObeyed(_ text: String, _ shown: String) {
    #expect(VisibleText.lines(text) == shown)
    #expect(VisibleText.line(text) == shown)
  }

  @Test func lineEndsStayInLinesAlone() {
    #expect(VisibleText.lines("a\n\tb") == "a\n\tb")
    #expect(VisibleText.line("a\n\tb\r\nc") == "a\\x0a\\x09b\\x0d\\x0ac")
  }
}

// Lines become words as redis-cli splits them, whatever bytes they hold.

import TestSeeds
import Testing
import ringstore

@Suite struct WordSplitterTests {
  private func words(_ line: String) throws -> [String] {
    try WordSplitter.words(line.utf8).map { String(decoding: $0, as: UTF8.self) }
  }

  @Test func blanksPartWords() throws {
    #expect(try words("") == [])
    #expect(try words(" \t\r") == [])
    #expect(try words("  SET\tk  v \r") == ["SET", "k", "v"])
  }

  @Test func doubleQuotesKeepBlanksAndKnowEscapes() throws {
    #expect(try words(#"SET "a b" """#) == ["SET", "a b", ""])
    #expect(try words(#""\n\r\t\a\b\\\"\q""#) == ["\n\r\t\u{7}\u{8}\\\"q"])
    #expect(try WordSplitter.words(#""\x00\xfF""#.utf8) == [[0, 255]])
    #expect(try words(#""\x4\xg1""#) == ["x4xg1"])
  }

  @Test func singleQuotesKeepAllButThemselves() throws {
    #expect(try words(#"'a "b" \n' '' 'it\'s'"#) == [#"a "b" \n"#, "", "it's"])
  }

  @Test func aQuoteMayOpenInsideAWord() throws {
    #expect(try words(#"a"b c" d'e f'"#) == ["ab c", "de f"])
  }

  @Test(arguments: [#"""#, #""a"#, #""a\"#, #""a\""#, "'", "'a", #"'a\'"#])
  func aQuoteMustBeClosed(line: String) {
    #expect(throws: WordSplitter.Problem.quoteNotClosed) { try words(line) }
  }

  @Test(arguments: [#""a"b"#, "'a'b", #"''"""#])
  func behindAClosingQuoteStandsABlank(line: String) {
    #expect(throws: WordSplitter.Problem.noBlankBehindQuote) { try words(line) }
  }

  @Test func whatIsPrintedIsReadBackAsTheSameBytes() throws {
    for byte in UInt8.min...UInt8.max {
      let line = ShownReply.quoted([byte, byte]) + " " + ShownReply.quoted([0x61, byte])
      #expect(try WordSplitter.words(line.utf8) == [[byte, byte], [0x61, byte]])
    }
  }

  @Test func randomWordsSurviveBeingPrintedAndRead() throws {
    var random = SeededRandom(seed: TestSeed.value)
    for _ in 0..<500 {
      let words: [[UInt8]] = (0..<Int.random(in: 0...5, using: &random)).map { _ in
        (0..<Int.random(in: 0...12, using: &random)).map { _ in
          UInt8.random(in: 0...255, using: &random)
        }
      }
      let line = words.map(ShownReply.quoted).joined(separator: "  ")
      #expect(try WordSplitter.words(line.utf8) == words, "RINGSTORE_TEST_SEED=\(TestSeed.value)")
      // Any bytes are words or a problem, never a trap.
      let garbage = words.flatMap { $0 + Array(#"\x'""#.utf8) }
      _ = try? WordSplitter.words(garbage)
    }
  }
}

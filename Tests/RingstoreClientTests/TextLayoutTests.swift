// Text that fits a terminal's width.

import Testing
import ringstore

@Suite struct `Text in a terminal` {
  @Test func linesBreakBetweenWords() {
    #expect(TextLayout.wrapped("one two three", 7) == ["one two", "three"])
    #expect(TextLayout.wrapped("one two three", 8) == ["one two", "three"])
    #expect(TextLayout.wrapped("a wonderful day", 4) == ["a", "wonderful", "day"])
    #expect(TextLayout.wrapped("", 4).isEmpty)
  }

  @Test func wordsStandInColumnsOfOneWidth() {
    let words = ["DECR", "DEL", "DELETE", "GET"]
    #expect(TextLayout.inColumns(words, 22) == ["DECR    DEL     DELETE", "GET"])
    #expect(TextLayout.inColumns(words, 21) == ["DECR    DEL", "DELETE  GET"])
    #expect(TextLayout.inColumns(words, 1) == words)
    #expect(TextLayout.inColumns([], 80).isEmpty)
  }

  @Test func theSecondOfTwoColumnsIsBrokenAndKeepsItsPlace() {
    let rows = [("GET key", "Reads the value of a key."), ("KEYS a b c d e f", "Lists keys.")]
    #expect(
      TextLayout.twoColumns(rows, firstMax: 8, 34) == [
        "GET key  Reads the value of a key.", "KEYS a b c d e f", "         Lists keys.",
      ])
    #expect(
      TextLayout.twoColumns(rows, firstMax: 8, 33).prefix(2) == [
        "GET key  Reads the value of a", "         key.",
      ])
    #expect(
      TextLayout.twoColumns(rows, firstMax: 8, 20) == [
        "GET key", "  Reads the value of", "  a key.", "KEYS a b c d e f", "  Lists keys.",
      ])
  }

  @Test(arguments: [30, 40, 60, 80, 100, 200])
  func theListOfCommandsFitsItsTerminal(_ columns: Int) {
    let lines = HelpText.text(nil, columns: columns).split(separator: "\n")
    #expect(lines.allSatisfy { $0.count <= columns })
    #expect(lines.contains { $0.hasPrefix("MGET key [key ...]") })
  }

  @Test func theListForProgramsHasALineForEachShortUsage() {
    let lines = HelpText.text(nil).split(separator: "\n")
    #expect(
      lines.contains { $0.hasPrefix("APPEND key value ") && $0.hasSuffix("counts as empty.") })
  }
}

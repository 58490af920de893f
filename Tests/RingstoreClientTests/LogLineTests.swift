// One event is one line, whatever it says.

import Logging
import Synchronization
import Testing
import ringstore

@Suite struct LogLineTests {
  @Test func aLineHasTimeLevelLabelMessageAndSortedFields() {
    let line = LogLine.format(
      time: "T", level: .info, label: "ringstore.router", message: "link ready",
      metadata: ["shard": "a", "count": "3"])
    #expect(line == "T info ringstore.router link ready count=3 shard=a\n")
  }

  @Test func valuesAreQuotedWhereTheyNeedIt() {
    let line = LogLine.format(
      time: "T", level: .error, label: "l", message: "two\nlines",
      metadata: ["a": "x y", "b": "say \"hi\"", "c": "", "d": "back\\slash", "e": "\u{1}"])
    #expect(
      line == #"T error l two\nlines a="x y" b="say \"hi\"" c="" d=back\slash e="\x01""# + "\n")
  }

  @Test func charactersThatAreNotShownAreWrittenAsNumbers() {
    let line = LogLine.format(
      time: "T", level: .info, label: "l", message: "m\u{85}",
      metadata: ["a": "x\u{2028}y", "b": "\u{9b}2J", "c": "\u{202e}z", "d": "ä\u{1f600}"])
    #expect(
      line == #"T info l m\u{85} a="x\u{2028}y" b="\u{9b}2J" c="\u{202e}z" d=ä😀"# + "\n")
  }

  @Test func timesAreUTCWithMilliseconds() {
    #expect(LogLine.timestamp(seconds: 0, milliseconds: 7) == "1970-01-01T00:00:00.007Z")
    #expect(
      LogLine.timestamp(seconds: 1_795_255_200, milliseconds: 123) == "2026-11-21T10:00:00.123Z")
  }

  @Test func theHandlerMergesFieldsAndKeepsItsLevel() {
    let lines = LineBox()
    let logs = NodeLogs(level: .warning) { lines.append($0) }
    var logger = logs.logger("label", ["shard": "a"])
    logger[metadataKey: "other"] = "1"
    logger.info("not shown")
    logger.warning("shown", metadata: ["shard": "b"])
    #expect(lines.all.count == 1)
    #expect(lines.all.first?.hasSuffix(" warning label shown other=1 shard=b\n") == true)
  }
}

final class LineBox: Sendable {
  private let lines = Mutex<[String]>([])

  var all: [String] { lines.withLock { $0 } }

  func append(_ line: String) {
    lines.withLock { $0.append(line) }
  }
}

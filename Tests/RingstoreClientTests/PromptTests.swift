// The parts of the prompt that need no terminal: what Tab offers, the file of earlier lines, lines
// from a pipe, the bar of a scan.

import Foundation
import Testing
import ringstore

@Suite struct CompletionTests {
  @Test func aNameThatIsBegunIsCompleted() {
    #expect(Completion("lrangest").insertion == "ream ")
    #expect(Completion("LRA").insertion == "NGE")
    #expect(Completion("LRANGE").choices == ["LRANGE", "LRANGESTREAM"])
    #expect(Completion("De").choices == ["DECR", "DECRBY", "DEL", "DELETE", "DESCRIBE"])
    #expect(Completion("frob") == Completion("frob frob "))
    #expect(Completion("frob").insertion.isEmpty)
    #expect(Completion("frob").choices.isEmpty)
    #expect(Completion("").choices.contains("SELECT"))
  }

  @Test func wordsBehindANameAreThoseItTakes() {
    #expect(Completion("help de").choices.contains("DELETE"))
    #expect(Completion("help lrangestr").insertion == "eam ")
    #expect(Completion("help get ").choices.isEmpty)
    #expect(Completion("DBSIZE ").insertion == "ALL ")
    #expect(Completion("RESET ").choices == ["ALL", "--yes"])
    #expect(Completion("reset all ").insertion == "--yes ")
    #expect(Completion("shutdown c").insertion == "luster ")
    #expect(Completion("get ").choices.isEmpty)
    #expect(Completion("get ").insertion.isEmpty)
  }

  @Test func optionsOfACommandAreOfferedWhileTheyMayBeGiven() {
    #expect(Completion("set k v k").insertion == "eepttl ")
    #expect(Completion("SET k v EX ").choices.isEmpty, "a number must follow")
    #expect(Completion("SET k v EX 5 ").choices == ["NX", "XX", "GET"])
    #expect(Completion("set k v get nx ex 5 ") == Completion("frob"))
    #expect(Completion("set k ").choices.isEmpty)
    #expect(Completion("expire k 5 ").choices == ["NX", "XX", "GT", "LT"])
    #expect(Completion("expire k 5 nx ").choices.isEmpty)
    #expect(Completion("lpos l v rank 1 co").insertion == "unt ")
    #expect(Completion("LINSERT l ").choices == ["BEFORE", "AFTER"])
    #expect(Completion("lmove a b l").insertion == "eft ")
    #expect(Completion("LMOVE a b LEFT ").choices == ["LEFT", "RIGHT"])
    #expect(Completion("del a ").choices.isEmpty)
  }

  @Test func searchesOfferTheirOptionsOnce() {
    #expect(Completion("scan --ty").insertion == "pe ")
    #expect(Completion("scan --type ").choices == ["string", "list"])
    #expect(Completion("scan --type l").insertion == "ist ")
    #expect(Completion("scan --type list --ty").insertion.isEmpty)
    #expect(Completion("scan --count ").choices.isEmpty)
    #expect(Completion("keys --to").insertion == "ken ")
    #expect(Completion("keys --ty").insertion.isEmpty)
  }
}

@Suite struct PromptHistoryTests {
  private func withFile(_ body: (String, PromptHistory) throws -> Void) throws {
    let path = FileManager.default.temporaryDirectory
      .appending(path: "ringstore-history-\(UUID().uuidString)").path
    defer { try? FileManager.default.removeItem(atPath: path) }
    try body(path, PromptHistory(variable: path, home: nil))
  }

  @Test func linesAreThereInTheNextSessionInTheirOrder() throws {
    try withFile { path, history in
      #expect(history.load().isEmpty)
      for line in ["SET k 1", "GET \"\\x00\"", "GET é"] { history.append(line) }
      #expect(history.load() == ["SET k 1", "GET \"\\x00\"", "GET é"])
      let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions]
      #expect(mode as? Int == 0o600)
    }
  }

  @Test func whatIsNotMeantToBeKeptIsNot() throws {
    try withFile { _, history in
      let long = String(repeating: "x", count: PromptHistory.lineBytesMax + 1)
      for line in ["", " SET secret 1", long, "a\nb"] { history.append(line) }
      history.append("GET k")
      #expect(history.load() == ["GET k"])
    }
  }

  @Test func theFileIsBounded() throws {
    try withFile { path, history in
      let lines = (0...2 * PromptHistory.linesMax).map { "GET \($0)" }
      try Data(lines.map { $0 + "\n" }.joined().utf8).write(to: URL(filePath: path))
      let kept = Array(lines.suffix(PromptHistory.linesMax))
      #expect(history.load() == kept)
      #expect(
        try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").count == kept.count
      )
      #expect(history.load() == kept)
    }
  }

  @Test func aHugeFileIsReadFromItsEndOnly() throws {
    try withFile { path, history in
      let line = String(repeating: "y", count: 4_000)
      let text = String(repeating: line + "\n", count: 1_000)
      try Data((text + "GET last\n").utf8).write(to: URL(filePath: path))
      let loaded = history.load()
      #expect(loaded.last == "GET last")
      #expect(loaded.count > 1 && loaded.dropLast().allSatisfy { $0 == line })
      let size = try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int
      #expect((size ?? .max) < text.utf8.count)
    }
  }

  @Test func thereMayBeNone() {
    for variable in ["", "off"] {
      let history = PromptHistory(variable: variable, home: "/")
      history.append("GET k")
      #expect(history.load().isEmpty)
    }
    #expect(PromptHistory(variable: nil, home: nil).load().isEmpty)
    #expect(PromptHistory(variable: "/nowhere/at/all", home: nil).load().isEmpty)
  }
}

@Suite struct LineReaderTests {
  /// What comes out of a pipe that gets these pieces one after another.
  private func lines(_ pieces: [String], lineBytesMax: Int = 100) throws -> [LineReader.Line] {
    let pipe = Pipe()
    var reader = LineReader(
      pipe.fileHandleForReading.fileDescriptor, lineBytesMax: lineBytesMax)
    for piece in pieces { try pipe.fileHandleForWriting.write(contentsOf: Data(piece.utf8)) }
    try pipe.fileHandleForWriting.close()
    var lines: [LineReader.Line] = []
    while let line = reader.next() { lines.append(line) }
    return lines
  }

  private func line(_ text: String) -> LineReader.Line { .line(Array(text.utf8)) }

  @Test func linesEndAtLineEndsAndAtTheEnd() throws {
    #expect(try lines([]) == [])
    #expect(try lines(["a\n", "\nb", "c"]) == [line("a"), line(""), line("bc")])
    #expect(try lines(["a\u{0}\r\n"]) == [line("a\u{0}\r")])
  }

  @Test func aLineThatIsTooLongIsPassedOver() throws {
    let long = String(repeating: "x", count: 200_000)
    #expect(try lines(["a\nxxxx\nb"], lineBytesMax: 3) == [line("a"), .tooLong, line("b")])
    #expect(try lines(["xxxx"], lineBytesMax: 3) == [.tooLong])
    #expect(try lines(["xxx"], lineBytesMax: 3) == [line("xxx")])
    let fd = FileManager.default.temporaryDirectory
      .appending(path: "ringstore-lines-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: fd) }
    try Data("\(long)\nb\n\(long)".utf8).write(to: fd)
    let file = try FileHandle(forReadingFrom: fd)
    var reader = LineReader(file.fileDescriptor, lineBytesMax: 100)
    #expect(reader.next() == .tooLong)
    #expect(reader.next() == line("b"))
    #expect(reader.next() == .tooLong)
    #expect(reader.next() == nil)
    try file.close()
  }
}

@Suite struct ProgressBarTests {
  @Test func theBarGrowsWithTheSlots() {
    #expect(
      ProgressBar.line(0, 0, columns: 100)
        == "[------------------------------]   0%  0 of 16384 slots, 0 keys")
    #expect(
      ProgressBar.line(8_192, 7, columns: 100)
        == "[###############---------------]  50%  8192 of 16384 slots, 7 keys")
    #expect(ProgressBar.line(99_999, 7, columns: 100).contains("] 100%"))
    #expect(ProgressBar.line(-1, 7, columns: 100).contains("]   0%"))
    #expect(ProgressBar.line(8_192, 7, columns: 11) == "[#########")
    #expect(ProgressBar.line(8_192, 7, columns: 0).isEmpty)
  }

  @Test func itIsDrawnWhereItChangesAndTakenAwayAtTheEnd() {
    var drawn: [String] = []
    withoutActuallyEscaping({ (text: String) in drawn.append(text) }) { write in
      var bar = ProgressBar {
        80
      } write: {
        write($0)
      }
      bar.clear()
      bar.show(slotsDone: 100, keys: 1)
      bar.show(slotsDone: 100, keys: 1)
      bar.clear()
      bar.clear()
      bar.show(slotsDone: 200, keys: 2)
      bar.show(slotsDone: 16_384, keys: 3)
      bar.clear()
    }
    #expect(drawn.count == 4)
    #expect(drawn[0].contains("100 of 16384"))
    #expect(drawn[1] == "\r\u{1b}[K")
    #expect(drawn[3] == "\r\u{1b}[K")
  }
}

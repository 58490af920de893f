// The words of a command line become calls, or a sentence that says what is wrong.

import Commands
import NIOCore
import RingstoreAPI
import RingstoreClient
import Testing
import TextForms
import ringstore

@Suite struct CommandLineCallTests {
  private func call(_ words: String...) throws -> CommandLineCall {
    try CommandLineCall(words.map { Array($0.utf8) })
  }

  private func misuse(_ words: String...) -> String? {
    do throws(CommandLineCall.Misuse) {
      _ = try CommandLineCall(words.map { Array($0.utf8) })
      return nil
    } catch {
      return error.sentence
    }
  }

  @Test func everyLineOfTheCommandTableCanBeCalled() throws {
    for command in CommandTable.all {
      for form in command.forms {
        for name in [form.syntax.name] + form.syntax.aliases {
          // Numbers do for every argument, but for a word out of two.
          let usage = form.syntax.usage.prefix { $0 != "[" }.split(separator: " ").dropFirst()
          var words =
            [name]
            + usage.prefix(form.syntax.words.lowerBound - 1).map {
              $0.first?.isUppercase == true ? String($0.prefix { $0 != "|" }) : "1"
            }
          // Some stand behind those that may be left out.
          while words.count < form.syntax.words.lowerBound { words.append("1") }
          let call = try CommandLineCall(words.map { Array($0.utf8) })
          guard case .oneKey(let one, _) = call else {
            #expect(command.routing != .oneKey || command.isStreaming, "\(name)")
            continue
          }
          #expect(one.rpc === command.rpc, "\(name)")
        }
      }
    }
  }

  @Test func namesAreTakenInAnyCaseOfLetters() throws {
    guard case .oneKey(let command, .value) = try call("gEt", "k") else {
      Issue.record("no call on one key")
      return
    }
    #expect(command.rpc === V1.KeyStore.get)
  }

  @Test func theWrongNumberOfWordsIsReportedWithTheUsage() {
    #expect(misuse("GET") == "Wrong arguments for GET; usage: GET key")
    #expect(misuse("GET", "a", "b") == "Wrong arguments for GET; usage: GET key")
    #expect(misuse("LPUSH", "k")?.contains("usage: LPUSH key value [value ...]") == true)
    #expect(misuse("MSET", "a", "1", "b")?.contains("usage: MSET") == true)
    #expect(misuse("DBSIZE", "SOME")?.contains("usage: DBSIZE [ALL]") == true)
    #expect(misuse("KEYS", "--what", "x")?.contains("--regex") == true)
    #expect(misuse("SHUTDOWN", "ALL")?.contains("usage: SHUTDOWN [CLUSTER]") == true)
    #expect(misuse("MLRANGE", "a", "0", "1", "b")?.contains("usage: MLRANGE") == true)
    #expect(misuse("KEYS", "a*", "--regex", "b")?.contains("usage: KEYS") == true)
    #expect(misuse("KEYS", "a*", "--limit")?.contains("usage: KEYS") == true)
    #expect(misuse("KEYS", "a*", "--type", "list")?.contains("usage: KEYS") == true)
    #expect(misuse("SCAN", "--token", "00")?.contains("--resume") == true)
    #expect(misuse("DESCRIBE", "x")?.contains("usage: DESCRIBE") == true)
  }

  @Test func aSearchTakesItsOptionsInAnyOrder() throws {
    guard
      case .scan(let scan) = try call(
        "SCAN", "--count", "7", "--resume", "00fF", "--prefix", "p", "--type", "LIST"),
      case .keys(let keys) = try call("KEYS", "a*", "--token", "0a", "--limit", "3"),
      case .scan(let all) = try call("SCAN")
    else {
      Issue.record("no search")
      return
    }
    #expect(scan.count == 7)
    #expect(scan.token == [0, 255])
    #expect(scan.type == .list)
    #expect(written(scan.pattern) == written(.prefix("p")))
    #expect(keys.count == 3)
    #expect(keys.token == [10])
    #expect(written(keys.pattern) == written(.glob("a*")))
    #expect(written(all.pattern).isEmpty)
    #expect(all.type == nil)
    #expect(Hexadecimal.text(scan.token) == "00ff")
  }

  private func written(_ command: RingstoreCommand) -> [UInt8] {
    var buffer = ByteBuffer()
    command.writeRequest(database: 0, into: &buffer)
    return Array(buffer.readableBytesView)
  }

  private func written(_ pattern: RingstorePattern) -> [UInt8] {
    var buffer = ByteBuffer()
    pattern.withMessage { V1.KeysRequest(pattern: $0).write(into: &buffer) }
    return Array(buffer.readableBytesView)
  }

  @Test func aListRangeKeepsItsThreeWordsTogether() throws {
    guard case .mLRange(let ranges) = try call("MLRANGE", "a", "0", "-1", "b", "1", "2"),
      case .listStream(let stream) = try call("lrangestream", "l", "-5", "5")
    else {
      Issue.record("no ranges")
      return
    }
    #expect(ranges == [RingstoreListRange("a", 0, -1), RingstoreListRange("b", 1, 2)])
    #expect(stream == RingstoreListRange("l", -5, 5))
  }

  @Test func theEndOfAClusterIsNotTheEndOfANode() throws {
    guard case .shutdown(false) = try call("SHUTDOWN"),
      case .shutdown(true) = try call("shutdown", "cluster")
    else {
      Issue.record("no shutdown")
      return
    }
  }

  @Test func unknownNamesAndBadNumbersAreReported() {
    #expect(misuse() == "Name a command; try HELP.")
    #expect(misuse("FROB") == "Unknown command 'FROB'; try HELP.")
    #expect(misuse("INCRBY", "k", "many") == "The delta must be a 64-bit integer, not 'many'.")
    #expect(misuse("LRANGE", "k", "0", "9999999999999999999")?.contains("The stop") == true)
    #expect(misuse("LRANGESTREAM", "k", "x", "1")?.contains("The start") == true)
    #expect(misuse("MLRANGE", "k", "0", "x")?.contains("The stop") == true)
    #expect(misuse("SCAN", "--type", "set") == "--type must be string or list, not 'set'.")
    #expect(misuse("SCAN", "--count", "0")?.hasPrefix("--count must be a number from 1") == true)
    for token in ["0", "0g", "x"] {
      #expect(misuse("SCAN", "--resume", token)?.hasPrefix("--resume must be a token") == true)
    }
  }

  /// As in values: a number has one form.
  @Test(arguments: ["05", "-0", "00", "+5", "-05", "0x5", " 5", "5 "])
  func anIntegerHasOneForm(text: String) {
    #expect(misuse("INCRBY", "k", text) == "The delta must be a 64-bit integer, not '\(text)'.")
    #expect(
      misuse("LRANGE", "k", text, "1") == "The start must be a 64-bit integer, not '\(text)'.")
    #expect(misuse("KEYS", "a*", "--limit", text)?.hasPrefix("--limit must be") == true)
    #expect(throws: CommandLineCall.Misuse.self) {
      try SessionCommand([Array("SELECT".utf8), Array(text.utf8)])
    }
  }

  @Test func aCursorIsNotTakenForAPattern() throws {
    for words in [["SCAN", "0"], ["SCAN", "0", "MATCH", "a*"], ["scan", "17", "--count", "5"]] {
      do throws(CommandLineCall.Misuse) {
        _ = try CommandLineCall(words.map { Array($0.utf8) })
        Issue.record("\(words) was taken")
      } catch {
        #expect(error.sentence.hasPrefix("SCAN takes no cursor"), "\(error.sentence)")
        #expect(error.sentence.contains("--match \(words[1])"))
      }
    }
    guard case .scan(let search) = try call("SCAN", "--match", "0"),
      case .keys(let keys) = try call("KEYS", "0")
    else {
      Issue.record("no search")
      return
    }
    #expect(written(search.pattern) == written(.glob("0")))
    #expect(written(keys.pattern) == written(.glob("0")))
  }

  @Test func aResetMayBeConfirmedAtOnce() throws {
    guard case .reset(.database, false) = try call("RESET"),
      case .reset(.allDatabases, false) = try call("reset", "all"),
      case .reset(.database, true) = try call("RESET", "--yes"),
      case .reset(.allDatabases, true) = try call("RESET", "--yes", "ALL"),
      case .reset(.allDatabases, true) = try call("RESET", "ALL", "--YES")
    else {
      Issue.record("no reset")
      return
    }
    #expect(misuse("RESET", "yes") == "Wrong arguments for RESET; usage: RESET [ALL] [--yes]")
    #expect(misuse("RESET", "ALL", "ALL")?.contains("usage: RESET") == true)
  }

  @Test func helpListsEveryCommandOnce() {
    let lines = HelpText.text(nil).split(separator: "\n").filter { !$0.hasPrefix(" ") }
    let names = lines.map { String($0.split(separator: " ").first ?? "") }
    let calls = CommandTable.all.flatMap(\.forms).map(\.syntax.name)
    #expect(Set(names).count == names.count)
    #expect(Set(calls).isSubset(of: names))
    #expect(Set(["CLUSTER", "SELECT", "HELP", "QUIT"]).isSubset(of: names))
  }

  @Test func helpTellsAboutOneCommand() throws {
    let del = HelpText.text(Array("del".utf8))
    #expect(
      del.hasPrefix("DEL key [key ...]\n  Removes a key of any type, or several.\n  Also: DELETE\n")
    )
    #expect(HelpText.text(Array("scan".utf8)).hasPrefix("SCAN [pattern | --match G | --regex R"))
    #expect(HelpText.text(Array("reset".utf8)).contains("\n  An admin call that concerns"))
    #expect(HelpText.text(Array("get".utf8)).contains("\n  A read call that concerns one key\n"))
    let move = HelpText.text(Array("lmove".utf8))
    #expect(move.contains("\n  A write call that concerns one key, or several keys of one slot\n"))
    #expect(HelpText.text(Array("exit".utf8)).hasPrefix("QUIT\n"))
    #expect(misuse("HELP", "frob") == "There is no command 'frob'; HELP lists them.")
    #expect(misuse("HELP", "get") == nil)
    #expect(misuse("help", "get", "set") == "Wrong arguments for HELP; usage: HELP [command]")
    #expect(HelpText.text(Array("decr".utf8)).hasPrefix("DECR key\n  Subtracts 1 "))
  }

  @Test func commandsOfOtherSystemsAreUnderstood() throws {
    for (line, delta) in [("INCR k", 1), ("decr k", -1), ("DECRBY k 5", -5), ("DECRBY k -5", 5)] {
      let words = line.split(separator: " ").map { Array($0.utf8) }
      guard case .oneKey(let command, .sum) = try CommandLineCall(words) else {
        Issue.record("\(line) is no call on a key")
        continue
      }
      #expect(written(command) == written(.incrBy("k", Int64(delta))))
    }
    guard case .ping(nil) = try call("ping"), case .ping(Array("x".utf8)) = try call("PING", "x")
    else {
      Issue.record("no ping")
      return
    }
    #expect(misuse("INCR") == "Wrong arguments for INCR; usage: INCR key")
    #expect(misuse("PING", "a", "b") == "Wrong arguments for PING; usage: PING [text]")
    let wrong = CommandLineCall.Misuse(sentence: "No")
    let words = ["PING", "--server", "x"].map { Array($0.utf8) }
    #expect(wrong.explained(words).sentence == "No. Options of cli come before the command.")
    #expect(wrong.explained([Array("PING".utf8), Array("-x".utf8)]) == wrong)
    #expect(misuse("DECRBY", "k", "x") == "The delta must be a 64-bit integer, not 'x'.")
    #expect(misuse("DECRBY", "k", "\(Int64.min)")?.hasPrefix("The delta must be above") == true)
  }

  @Test func aClusterIsDescribed() throws {
    guard case .describe = try call("cluster"), case .describe = try call("DESCRIBE") else {
      Issue.record("no description")
      return
    }
    #expect(misuse("CLUSTER", "x")?.contains("usage: DESCRIBE") == true)
  }

  @Test func wordsOfASessionAreNoCalls() throws {
    #expect(misuse("SELECT", "3") == "SELECT is a command of a session; see HELP.")
    guard case .select(7) = try SessionCommand([Array("select".utf8), Array("7".utf8)]),
      case .quit = try SessionCommand([Array("Exit".utf8)]),
      case .call(.oneKey) = try SessionCommand([Array("GET".utf8), Array("k".utf8)])
    else {
      Issue.record("not read")
      return
    }
    for words in [
      ["SELECT"], ["SELECT", "x"], ["SELECT", "-1"], ["SELECT", "1", "2"], ["QUIT", "x"],
    ] {
      #expect(throws: CommandLineCall.Misuse.self) {
        try SessionCommand(words.map { Array($0.utf8) })
      }
    }
  }

  @Test func argumentsKeepTheirBytes() {
    let original: [[UInt8]] = [Array("SET".utf8), [0xff, 0x00, 0xfe], Array("\u{10FFFD}1".utf8)]
    let arguments = RawArguments(original)
    #expect(arguments.texts.first == "SET")
    #expect(arguments.bytes(of: arguments.texts[1]) == original[1])
  }
}

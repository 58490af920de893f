// The words of a command line become calls, or a sentence that says what is wrong.

import RingstoreAPI
import RingstoreClient
import Testing
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
      for name in [command.lineName].compactMap({ $0 }) + command.lineAliases {
        // Numbers do for every argument; MSET takes pairs and DBSIZE ALL.
        let count = command.commandID == .mSet ? 3 : abs(command.arity)
        let words = [name] + Array(repeating: "1", count: max(count, 1) - 1)
        #expect(throws: Never.self) { try CommandLineCall(words.map { Array($0.utf8) }) }
        guard case .oneKey(let one) = try CommandLineCall(words.map { Array($0.utf8) }) else {
          #expect(command.routing != .oneKey, "\(name)")
          continue
        }
        #expect(one.id == command.commandID, "\(name)")
      }
    }
  }

  @Test func namesAreTakenInAnyCaseOfLetters() throws {
    guard case .oneKey(let command) = try call("gEt", "k") else {
      Issue.record("no call on one key")
      return
    }
    #expect(command.id == .get)
  }

  @Test func theWrongNumberOfWordsIsToldWithTheUsage() {
    #expect(misuse("GET") == "Wrong arguments for GET; usage: GET key")
    #expect(misuse("GET", "a", "b") == "Wrong arguments for GET; usage: GET key")
    #expect(misuse("LPUSH", "k")?.contains("usage: LPUSH key value [value ...]") == true)
    #expect(misuse("MSET", "a", "1", "b")?.contains("usage: MSET") == true)
    #expect(misuse("DBSIZE", "SOME")?.contains("usage: DBSIZE [ALL]") == true)
    #expect(misuse("KEYS", "--what", "x")?.contains("--regex") == true)
    #expect(misuse("DESCRIBE", "x")?.contains("usage: DESCRIBE") == true)
  }

  @Test func unknownNamesAndBadNumbersAreTold() {
    #expect(misuse() == "Name a command; try HELP.")
    #expect(misuse("FROB") == "Unknown command 'FROB'; try HELP.")
    #expect(misuse("INCRBY", "k", "many") == "the delta must be a 64-bit integer, not 'many'.")
    #expect(misuse("LRANGE", "k", "0", "9999999999999999999")?.contains("the stop") == true)
  }

  @Test func helpListsEveryCommandOnce() {
    let lines = HelpText.text(nil).split(separator: "\n")
    #expect(lines.count == CommandTable.all.count { $0.lineName != nil })
    #expect(HelpText.text(Array("get".utf8)).hasPrefix("GET key "))
  }

  @Test func argumentsKeepTheirBytes() {
    let original: [[UInt8]] = [Array("SET".utf8), [0xff, 0x00, 0xfe], Array("\u{10FFFD}1".utf8)]
    let arguments = RawArguments(original)
    #expect(arguments.texts.first == "SET")
    #expect(arguments.bytes(of: arguments.texts[1]) == original[1])
  }
}

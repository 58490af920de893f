// The command table against the contract: the text of the .proto files and the generated enum.

import Commands
import Foundation
import NIOCore
import RingstoreAPI
import Testing

@Suite struct CommandTableTests {
  struct RPC: Hashable {
    let path: String
    let isStreaming: Bool
  }

  /// Every rpc of the public .proto files.
  static func contract() throws -> Set<RPC> {
    var rpcs: Set<RPC> = []
    for file in ["keystore", "cluster"] {
      let url = packageRoot.appending(
        path: "Sources/RingstoreAPI/Protos/ringstore/v1/\(file).proto")
      var service = ""
      for line in try String(contentsOf: url, encoding: .utf8).split(separator: "\n") {
        if let match = line.firstMatch(of: /^service (\w+)/) { service = String(match.1) }
        if let match = line.firstMatch(of: /^\s*rpc (\w+)\((stream )?.*returns \((stream )?/) {
          rpcs.insert(
            RPC(
              path: "/ringstore.v1.\(service)/\(match.1)",
              isStreaming: match.2 != nil || match.3 != nil))
        }
      }
    }
    return rpcs
  }

  @Test func everyCallOfTheContractIsServedAndNoOther() throws {
    let contract = try Self.contract()
    #expect(contract.count == 61)
    let served = CommandTable.all.map(\.rpc.path)
    #expect(Set(served) == Set(contract.map(\.path)))
    #expect(served.count == contract.count)
    for rpc in contract {
      let command = CommandTable.all.first { $0.rpc.path == rpc.path }
      #expect(command?.isStreaming == rpc.isStreaming, "\(rpc.path)")
    }
  }

  @Test func numbersOfCallsThatTravelInBatchesAreThoseOfTheContract() throws {
    for method in V1.Method.allCases where method != .unspecified {
      let number = UInt32(method.rawValue)
      let command = try #require(CommandTable.all.first { $0.method == number })
      #expect("\(method)".lowercased() == "\(command.id)".lowercased())
      #expect(command.routing == .oneKey && command.rpc.keyFields != nil)
      #expect(command.rpc.method?.rawValue == Int32(method.rawValue))
      #expect(CommandTable.keyFields(ofMethod: UInt32(method.rawValue)) == command.rpc.keyFields)
      #expect(
        CommandTable.isWrite(method: UInt32(method.rawValue)) == (command.access == .write))
    }
    let methods = V1.Method.allCases.count - 1
    #expect(CommandTable.all.filter { $0.method != nil }.count == methods)
    for method: UInt32 in [0, 62, 63, 64, 1001, .max] {
      #expect(CommandTable.keyFields(ofMethod: method) == nil)
      #expect(!CommandTable.isWrite(method: method))
    }
  }

  @Test func callsOnOneKeyAndOnlyTheyHaveAKeyToPeekAt() {
    for command in CommandTable.all {
      #expect((command.rpc.keyFields != nil) == (command.routing == .oneKey), "\(command.name)")
    }
  }

  @Test func everyCallHasItsOwnNumberPathAndLineNames() {
    let all = CommandTable.all
    #expect(Set(all.map(\.id)).count == all.count)
    for command in all { #expect(CommandID(rawValue: command.id.rawValue) == command.id) }
    let places = all.compactMap { CallNumbers.place(of: $0.id.rawValue) }
    #expect(Set(places).count == all.count)
    for number in [0, 63, 999, 1_063, CallNumbers.link, CallNumbers.legacy.lowerBound] {
      #expect(CommandID(rawValue: number) == nil)
    }
    #expect(CallNumbers.place(of: CallNumbers.link) == nil)
    let words = all.flatMap(\.forms).flatMap { [$0.syntax.name] + $0.syntax.aliases }
    #expect(Set(words).count == words.count)
    for part in InternalMethod.allCases {
      let number = Int(part.rawValue)
      #expect(!all.contains { $0.id.rawValue == number })
      #expect(CallNumbers.parts.contains(number) && CallNumbers.place(of: number) != nil)
    }
    for command in all {
      let numbers = command.method == nil ? CallNumbers.local : CallNumbers.batched
      #expect(numbers.contains(command.id.rawValue), "\(command.name)")
    }
  }

  /// Operators read and write.
  @Test func onlyReadsAreFreeOfSideEffectsInTheContract() {
    for command in CommandTable.all where command !== Command.pipeline {
      let looks: [CommandID] = [.hotKeys, .bigKeys, .digest, .backup, .clients, .config]
      let isRead = command.access == .read || looks.contains(command.id)
      #expect(isRead == command.rpc.isReadOnly, "\(command.name)")
    }
  }

  @Test func everyFormHasANameInCapitalsAndASentenceOfHelp() {
    for form in CommandTable.all.flatMap(\.forms) {
      #expect(form.syntax.name == form.syntax.name.uppercased() && !form.syntax.name.isEmpty)
      #expect(form.syntax.usage.hasPrefix(form.syntax.name))
      #expect(form.summary.hasSuffix("."))
    }
  }

  @Test func callsAreFoundByPathAndByLineNameInAnyCase() {
    func byPath(_ path: String) -> Command? {
      Array(path.utf8).withUnsafeBytes { CommandTable.command(path: $0) }
    }
    for command in CommandTable.all { #expect(byPath(command.rpc.path) === command) }
    #expect(byPath("/ringstore.v1.KeyStore/get") == nil && byPath("") == nil)
    func called(_ word: String) -> CommandID? {
      Array(word.utf8).withUnsafeBytes { CommandTable.form(called: $0)?.command.id }
    }
    #expect(called("lrange") == .lRange)
    #expect(called("dEl") == .delete && called("DELETE") == .delete)
    #expect(called("decr") == .incrBy && called("unlink") == .delete)
    #expect(called("") == nil && called("PIPELINE") == nil)
  }

  /// What a usage says of the number of words.
  static let usages: [(usage: String, words: ClosedRange<Int>)] = [
    ("STATS", 1...1), ("GET key", 2...2), ("LRANGE key start stop", 4...4), ("DBSIZE [ALL]", 1...2),
    ("LPUSH key value [value ...]", 3...Int.max - 1),
    ("SCAN cursor [MATCH glob] [COUNT n] [TYPE string|list]", 2...8),
    ("SET key value [EX seconds|PX millis|KEEPTTL] [NX|XX] [GET]", 3...7),
    ("LPOP key [count]", 2...3), ("MSET key value [key value ...]", 3...Int.max - 1),
    ("BLPOP key [key ...] seconds", 3...Int.max - 1),
  ]

  @Test(arguments: usages.indices)
  func aUsageSaysHowManyWordsThereMayBe(_ index: Int) {
    let (usage, words) = Self.usages[index]
    #expect(Syntax(usage).words == words)
    #expect(usage.hasPrefix(Syntax(usage).name))
  }

  @Test(arguments: CommandTable.all.flatMap(\.forms).map(\.syntax.name))
  func wordsMakeARequestThatSaysTheSame(_ name: String) throws {
    let (command, form) = try #require(
      Array(name.utf8).withUnsafeBytes { CommandTable.form(called: $0) })
    guard let call = form.call else { return }
    let hasOptions = !form.syntax.optionGroups.isEmpty
    let count =
      hasOptions
      ? form.syntax.words.lowerBound
      : min(form.syntax.words.upperBound, max(form.syntax.words.lowerBound, 5))
    var words = [name] + (1..<count).map(String.init)
    // A word out of two is one of them, and so is one in capitals.
    let usage = form.syntax.usage.prefix { $0 != "[" }.split(separator: " ")
    for (place, word) in usage.enumerated() where word.first?.isUppercase == true {
      words[place] = String(word.prefix { $0 != "|" })
    }
    let key = words[usage.firstIndex { ["key", "source"].contains($0) } ?? 1]
    var request = ByteBuffer()
    var called = command
    try CommandWords.withWords(words.map { Array($0.utf8) }) { words in
      let said = try call(words, 7)
      called = said.command
      said.write(into: &request)
      #expect(said.byteCount == request.readableBytes)
      // More words may mean another command: LPOP with a count.
      if words.count == form.syntax.words.lowerBound { #expect(said.command === command) }
      #expect(Array(said.key) == Array(key.utf8) && said.database == 7)
    }
    try request.withUnsafeReadableBytes { bytes in
      let found = try #require(called.rpc.keyFields).find(in: bytes)
      #expect(Array(found.key) == Array(key.utf8) && found.database == 7)
      #expect(try !called.rpc.request.init(bytes).hasUnknownField)
    }
  }

  /// Words of a command with options, and what is said of them; nil: they are taken.
  static let options: [(words: String, refusal: String?)] = [
    ("k v", nil), ("k v ex 1", nil), ("k v keepttl", nil), ("k v PxAt 5", nil),
    ("k v EX 1 PX 2", "EX and PX exclude each other"),
    ("k v KEEPTTL EXAT 1", "KEEPTTL and EXAT exclude each other"),
    ("k v EX 1 ex 1", "EX is given twice"),
    ("k v EX", "EX needs a value after it; usage: "),
    ("k v seconds 1", "SET takes no option 'seconds'; usage: "),
    ("k v 10", "SET takes no option '10'; usage: "),
  ]

  @Test(arguments: options.indices)
  func optionsAreReadOutOfTheUsage(_ index: Int) throws {
    let (words, refusal) = Self.options[index]
    let form = try #require(Command.set.forms.first)
    let call = try #require(form.call)
    let all = ["SET"] + words.split(separator: " ").map(String.init)
    do throws(ArgumentError) {
      try CommandWords.withWords(all.map { Array($0.utf8) }) { words throws(ArgumentError) in
        _ = try call(words, 0)
      }
      #expect(refusal == nil)
    } catch {
      guard case .badOptions(let sentence) = error, let refusal else {
        Issue.record("\(words): \(error)")
        return
      }
      #expect(refusal.hasSuffix("usage: ") ? sentence.hasPrefix(refusal) : sentence == refusal)
    }
  }

  @Test func secondsAreRoundedAsRedisDoesAndMissingKeysAreDistinguishedFromLastingOnes() {
    func number(_ form: TtlForm, _ ttl: Int64?, _ at: Int64? = 1_499) -> Int64 {
      form.number(found: true, ttlMillis: ttl, unixMillis: at)
    }
    #expect(number(.seconds, 1) == 0 && number(.seconds, 499) == 0 && number(.seconds, 500) == 1)
    #expect(number(.seconds, .max) == 9_223_372_036_854_776 && number(.millis, 1) == 1)
    #expect(number(.unixSeconds, 1) == 1 && number(.unixMillis, 1) == 1_499)
    for form in [TtlForm.seconds, .millis, .unixSeconds, .unixMillis] {
      #expect(number(form, nil, nil) == -1)
      #expect(form.number(found: false, ttlMillis: nil, unixMillis: nil) == -2)
    }
  }

  @Test func aNumberHasOneForm() {
    func number(_ text: String) -> Int64? {
      Array(text.utf8).withUnsafeBytes { Int64(canonical: $0) }
    }
    for value in [Int64.min, -10, -1, 0, 1, 907, .max] { #expect(number("\(value)") == value) }
    for text in [
      "", "-", "+1", "01", "-0", "00", "1x", " 1", "9223372036854775808",
      "-9223372036854775809", "99999999999999999999", "999999999999999999999",
    ] {
      #expect(number(text) == nil, "\(text)")
    }
  }

  @Test func aReplyTooLargeNamesTheCallThatHasNoSuchLimit() {
    let advice: [CommandID: String] = [
      .lRange: "LRangeStream", .mLRange: "LRangeStream", .keys: "Scan", .mGet: "Pipeline",
      .mExists: "Pipeline",
    ]
    for (call, other) in advice {
      let error = CallError.responseTooLarge(of: call)
      #expect(error.reason == .responseTooLarge && error.message.contains("use \(other)."))
    }
    #expect(CallError.responseTooLarge(of: .get).message.hasSuffix("Ask for less."))
  }
}

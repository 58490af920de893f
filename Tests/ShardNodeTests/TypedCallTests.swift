// Calls made within the process, in the types of their messages: a shard executes them as it
// executes the same calls encoded.

import Commands
import NIOCore
import NodeCore
import RingstoreAPI
import Testing

@testable import ShardNode

@Suite struct TypedCallTests {
  private let typed = ShardFixture()
  private let encoded = ShardFixture()

  /// What becomes of a call: the encoded reply, the message of an error, or that it comes in
  /// pieces.
  private enum Ending: Equatable {
    case reply([UInt8])
    case failure(String)
    case pieces(Int?)
  }

  private func typedEnding(_ call: any KeyedCall, _ bytesMin: Int) -> Ending {
    var reply = ByteBuffer()
    do {
      let source = try typed.core.execute(
        call, largerThan: bytesMin, typed.core.context(nowNanos: 1)
      ) { $0.write(into: &reply) }
      return ending(source?.reply, reply)
    } catch {
      return .failure("\(error.code) \(error.message)")
    }
  }

  private func encodedEnding(_ call: any KeyedCall, _ bytesMin: Int) -> Ending {
    var (request, reply) = (ByteBuffer(), ByteBuffer())
    call.write(into: &request)
    let method = UInt32(call.command.id.rawValue)
    do {
      let source = try request.readableBytesView.withUnsafeBytes { message in
        try encoded.core.execute(
          method, message, into: &reply, largerThan: bytesMin, encoded.core.context(nowNanos: 1))
      }
      return ending(source?.reply, reply)
    } catch {
      return (error as? CallError).map { .failure("\($0.code) \($0.message)") } ?? .pieces(nil)
    }
  }

  private func ending(_ source: (any ReplySource)?, _ reply: ByteBuffer) -> Ending {
    guard let source else { return .reply(Array(reply.readableBytesView)) }
    while !source.measure() {}
    return .pieces(source.byteCount)
  }

  /// Says every command on one key, in every form, on a key of each type and on none.
  @Test(arguments: ["none", "text", "number", "list", ""])
  func eachCommandDoesTheSameAsWhenItIsEncoded(_ key: String) throws {
    let setups = [
      ["SET", "text", "abc"], ["SET", "number", "41"], ["RPUSH", "list", "a", "", "c"],
    ]
    for words in setups { try check(words) }
    for form in CommandTable.all.flatMap(\.forms) where form.call != nil {
      let hasOptions = !form.syntax.optionGroups.isEmpty
      let words = form.syntax.words
      let count = hasOptions ? words.lowerBound : min(words.upperBound, max(words.lowerBound, 5))
      var rest = (2..<max(count, 2)).map { "\($0 - 2)" }
      // A word out of two is one of them.
      let usage = form.syntax.usage.prefix { $0 != "[" }.split(separator: " ")
      // In front of the key as well: OBJECT ENCODING key.
      let isSecond = usage.count > 1 && usage[1].first?.isUppercase == true
      for (place, word) in usage.enumerated().dropFirst(2) where word.contains("|") {
        rest[place - 2] = String(word.prefix { $0 != "|" })
      }
      if isSecond {
        try check([form.syntax.name, String(usage[1].prefix { $0 != "|" }), key])
      } else {
        try check([form.syntax.name, key] + rest)
      }
    }
    #expect(typed.core.keyCount == encoded.core.keyCount)
  }

  private func check(_ words: [String], bytesMin: Int = 64 << 10) throws {
    let found = Array(words[0].utf8).withUnsafeBytes { CommandTable.form(called: $0) }
    let meant = try #require(found?.form.call)
    try CommandWords.withWords(words.map { Array($0.utf8) }) { said in
      let call = try meant(said, 0)
      let ending = typedEnding(call, bytesMin)
      #expect(ending == encodedEnding(call, bytesMin), "\(words.joined(separator: " ").prefix(50))")
    }
  }

  @Test func aLargeValueAndALargeListComeInPieces() throws {
    let value = String(repeating: "v", count: 100_000)
    for words in [["SET", "k", value], ["RPUSH", "l", value, "b"]] { try check(words) }
    for words in [["GET", "k"], ["LRANGE", "l", "0", "-1"], ["LPOP", "l"]] {
      for bytesMin in [1_000, 99_999, 200_000, .max] { try check(words, bytesMin: bytesMin) }
    }
  }

  @Test func theElementsOfAListAreReadInPlace() throws {
    try check(["RPUSH", "l", "a", "bb", "ccc"])
    var seen: [[UInt8]] = []
    try Array("l".utf8).withUnsafeBytes { key in
      let call = Command.lRange.call(V1.ListRange(key: key, start: -2, stop: -1))
      _ = try typed.core.execute(call, largerThan: 1_000, typed.core.context(nowNanos: 1)) {
        guard let list = V1.ListValues($0) else { return }
        #expect(list.found && list.length == 3 && list.firstIndex == 1)
        seen = list.values.map { Array($0) }
      }
    }
    #expect(seen == [Array("bb".utf8), Array("ccc".utf8)])
  }

  @Test func aCallIsCountedAndNotExecutedTooLate() throws {
    try Array("k".utf8).withUnsafeBytes { key in
      let call = Command.get.call(V1.Key(key: key))
      let late = typed.core.context(deadlineNanos: 5, nowNanos: 9)
      #expect(throws: CallError.self) {
        try typed.core.execute(call, largerThan: .max, late) { _ in Issue.record("it was late") }
      }
      _ = try typed.core.execute(call, largerThan: .max, typed.core.context(nowNanos: 9)) { _ in }
    }
    #expect(typed.core.counters.entries(prefix: "")["calls_get_total"] == 1)
  }
}

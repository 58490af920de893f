// The arguments of KEYS and SCAN: a pattern, and options with a value each.
//
//   KEYS  pattern | --match G | --regex R | --prefix P   [--limit N] [--token HEX]
//   SCAN  the same, or none                  [--type string|list] [--count N] [--resume HEX]

import Commands
import RingstoreAPI
import RingstoreClient
import TextForms

package struct KeySearch: Sendable {
  package private(set) var pattern = RingstorePattern.all
  package private(set) var type: RingstoreType?
  /// Keys of a page; 0: not given.
  package private(set) var count = 0
  /// Where an earlier search ended.
  package private(set) var token: [UInt8] = []

  /// The options of the call, as Tab offers them.
  static func options(of id: CommandID) -> [String] {
    ["--regex", "--prefix", "--match"]
      + (id == .scan ? ["--type", "--count", "--resume"] : ["--limit", "--token"])
  }

  init(_ command: Command, _ words: [[UInt8]]) throws(CommandLineCall.Misuse) {
    var isPatternGiven = false
    var rest = words[...]
    while let word = rest.popFirst() {
      let option = String(decoding: word, as: UTF8.self)
      // As in Redis, a pattern without a name is a glob.
      let isOption = option.hasPrefix("--")
      if command.id == .scan, !isOption, CommandLineCall.number(word, as: UInt64.self) != nil {
        throw CommandLineCall.Misuse(
          sentence: "SCAN takes no cursor and scans all keys: leave out "
            + "\(option), or write --match \(option) if it is a pattern.")
      }
      guard let value = isOption ? rest.popFirst() : word else { throw .usage(command) }
      switch (isOption ? option : "--match", command.id) {
      case ("--match", _), ("--glob", _), ("--regex", _), ("--prefix", _):
        guard !isPatternGiven else { throw .usage(command) }
        isPatternGiven = true
        pattern = Self.pattern(option, value)
      case ("--type", .scan): type = try Self.type(value)
      case ("--count", .scan), ("--limit", .keys): count = try Self.count(value, option)
      case ("--resume", .scan), ("--token", .keys): token = try Self.token(value, option)
      default: throw .usage(command)
      }
    }
  }

  private static func pattern(_ option: String, _ value: [UInt8]) -> RingstorePattern {
    switch option {
    case "--regex": .regex(value)
    case "--prefix": .prefix(value)
    default: .glob(value)
    }
  }

  private static func type(_ value: [UInt8]) throws(CommandLineCall.Misuse) -> RingstoreType {
    switch String(decoding: value, as: UTF8.self).lowercased() {
    case "string": return .string
    case "list": return .list
    case let other:
      throw CommandLineCall.Misuse(sentence: "--type must be string or list, not '\(other)'.")
    }
  }

  private static func count(
    _ value: [UInt8], _ option: String
  ) throws(CommandLineCall.Misuse) -> Int {
    guard let number = CommandLineCall.number(value, as: UInt32.self), number > 0 else {
      let text = String(decoding: value, as: UTF8.self)
      throw CommandLineCall.Misuse(
        sentence: "\(option) must be a number from 1 to \(UInt32.max), not '\(text)'.")
    }
    return Int(number)
  }

  private static func token(
    _ value: [UInt8], _ option: String
  ) throws(CommandLineCall.Misuse) -> [UInt8] {
    guard let bytes = Hexadecimal.bytes(value) else {
      throw CommandLineCall.Misuse(
        sentence: "\(option) must be a token as an earlier call has shown it.")
    }
    return bytes
  }
}

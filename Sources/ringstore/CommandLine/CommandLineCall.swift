// From the words of a line to a call. Names, arity and usage are the command table's; what is here
// is how each call's arguments are read.

import RingstoreAPI
import RingstoreClient

package enum CommandLineCall: Sendable {
  case oneKey(RingstoreCommand)
  case mGet([[UInt8]])
  case mSet([(key: [UInt8], value: [UInt8])])
  case mDelete([[UInt8]])
  case keys(RingstorePattern)
  case dbSize(RingstoreScope)
  case reset(RingstoreScope)
  case describe
  case help([UInt8]?)

  /// What is wrong with the words, in one sentence.
  package struct Misuse: Error, Sendable, Hashable {
    package let sentence: String
  }

  /// - Parameter words: the name in any case of letters, then the arguments.
  package init(_ words: [[UInt8]]) throws(Misuse) {
    guard let name = words.first else { throw Misuse(sentence: "Name a command; try HELP.") }
    let arguments = Array(words.dropFirst())
    if HelpText.isHelp(name), arguments.count <= 1 {
      self = .help(arguments.first)
      return
    }
    guard let command = CommandTable.command(lineName: name) else {
      throw Misuse(
        sentence: "Unknown command '\(String(decoding: name, as: UTF8.self))'; try HELP.")
    }
    guard Self.fits(words.count, command.arity) else { throw .usage(command) }
    self = try Self.call(command, arguments)
  }

  /// As in Redis, a negative arity is a minimum.
  private static func fits(_ count: Int, _ arity: Int) -> Bool {
    arity >= 0 ? count == arity : count >= -arity
  }

  private static func call(
    _ command: Command, _ words: [[UInt8]]
  ) throws(Misuse) -> CommandLineCall {
    switch command.commandID {
    case .mGet: return .mGet(words)
    case .mDelete: return .mDelete(words)
    case .mSet:
      guard words.count.isMultiple(of: 2) else { throw .usage(command) }
      return .mSet(
        stride(from: 0, to: words.count, by: 2).map { (key: words[$0], value: words[$0 + 1]) })
    case .keys: return .keys(try pattern(command, words))
    case .dbSize: return .dbSize(try scope(command, words))
    case .reset: return .reset(try scope(command, words))
    case .describe: return .describe
    default: return .oneKey(try oneKey(command, words))
    }
  }

  /// The table's arity has been checked: a call on one key has a key, and its fixed arguments.
  private static func oneKey(
    _ command: Command, _ words: [[UInt8]]
  ) throws(Misuse) -> RingstoreCommand {
    let key = words[0]
    switch command.commandID {
    case .set: return .set(key, to: words[1])
    case .get: return .get(key)
    case .delete: return .delete(key)
    case .exists: return .exists(key)
    case .type: return .type(key)
    case .incrBy: return .incrBy(key, try integer(words[1], "the delta"))
    case .lPush: return .lPush(key, Array(words.dropFirst()))
    case .rPush: return .rPush(key, Array(words.dropFirst()))
    case .lPop: return .lPop(key)
    case .rPop: return .rPop(key)
    case .lLen: return .lLen(key)
    case .lRange:
      return .lRange(
        key, try integer(words[1], "the start"), try integer(words[2], "the stop"))
    default: throw Misuse(sentence: "\(command.name) can't be called from the command line.")
    }
  }

  /// KEYS pattern is a glob, as in Redis; the other kinds are named.
  private static func pattern(
    _ command: Command, _ words: [[UInt8]]
  ) throws(Misuse) -> RingstorePattern {
    if words.count == 1 { return .glob(words[0]) }
    guard words.count == 2 else { throw .usage(command, HelpText.keysUsage) }
    switch String(decoding: words[0], as: UTF8.self) {
    case "--regex": return .regex(words[1])
    case "--prefix": return .prefix(words[1])
    case "--glob": return .glob(words[1])
    default: throw .usage(command, HelpText.keysUsage)
    }
  }

  private static func scope(
    _ command: Command, _ words: [[UInt8]]
  ) throws(Misuse) -> RingstoreScope {
    guard let word = words.first else { return .database }
    guard words.count == 1, String(decoding: word, as: UTF8.self).uppercased() == "ALL" else {
      throw .usage(command)
    }
    return .allDatabases
  }

  private static func integer(_ word: [UInt8], _ what: String) throws(Misuse) -> Int64 {
    let text = String(decoding: word, as: UTF8.self)
    guard let number = Int64(text) else {
      throw Misuse(sentence: "\(what) must be a 64-bit integer, not '\(text)'.")
    }
    return number
  }
}

extension CommandLineCall.Misuse {
  static func usage(_ command: Command, _ usage: String? = nil) -> Self {
    Self(
      sentence:
        "Wrong arguments for \(command.lineName ?? command.name); usage: \(usage ?? command.usage)")
  }
}

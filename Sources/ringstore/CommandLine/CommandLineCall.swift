// From the words of a line to a call. Names, arity and usage are the command table's; what is here
// is how each call's arguments are read.

import RingstoreAPI
import RingstoreClient

package enum CommandLineCall: Sendable {
  case oneKey(RingstoreCommand)
  case mGet([[UInt8]])
  case mSet([(key: [UInt8], value: [UInt8])])
  case mDelete([[UInt8]])
  case mLRange([RingstoreListRange])
  case listStream(RingstoreListRange)
  case keys(KeySearch)
  case scan(KeySearch)
  case dbSize(RingstoreScope)
  /// A prompt asks before it is carried out, unless it is confirmed.
  case reset(RingstoreScope, isConfirmed: Bool)
  case describe
  case stats
  case shutdown(wholeCluster: Bool)
  /// Answered with the text, or PONG.
  case ping([UInt8]?)
  case help([UInt8]?)

  /// What is wrong with the words, in one sentence.
  package struct Misuse: Error, Sendable, Hashable {
    package let sentence: String
  }

  /// - Parameter words: the name in any case of letters, then the arguments.
  package init(_ words: [[UInt8]]) throws(Misuse) {
    guard let name = words.first else { throw Misuse(sentence: "Name a command; try HELP.") }
    let arguments = Array(words.dropFirst())
    if HelpText.isHelp(name) {
      guard arguments.count <= 1 else {
        throw Misuse(sentence: "Wrong arguments for HELP; usage: HELP [command]")
      }
      if let named = arguments.first, !HelpText.isKnown(named) {
        let shown = String(decoding: named, as: UTF8.self)
        throw Misuse(sentence: "There is no command '\(shown)'; HELP lists them.")
      }
      self = .help(arguments.first)
      return
    }
    if let short = try Self.short(name, arguments) {
      self = short
      return
    }
    guard let command = Self.command(name) else {
      let shown = String(decoding: name, as: UTF8.self)
      if ["SELECT", "QUIT", "EXIT"].contains(shown.uppercased()) {
        throw Misuse(sentence: "\(shown) is a command of a session; see HELP.")
      }
      throw Misuse(sentence: "Unknown command '\(shown)'; try HELP.")
    }
    guard Self.fits(words.count, command.arity) else { throw .usage(command) }
    self = try Self.call(command, arguments)
  }

  /// The entry of the command table; CLUSTER is another name for DESCRIBE.
  private static func command(_ name: [UInt8]) -> Command? {
    let isCluster = String(decoding: name, as: UTF8.self).uppercased() == "CLUSTER"
    return isCluster ? CommandTable.command(.describe) : CommandTable.command(lineName: name)
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
    case .mLRange:
      guard words.count.isMultiple(of: 3) else { throw .usage(command) }
      var ranges: [RingstoreListRange] = []
      for place in stride(from: 0, to: words.count, by: 3) {
        ranges.append(try range(words[place..<place + 3]))
      }
      return .mLRange(ranges)
    case .lRangeStream: return .listStream(try range(words[...]))
    case .keys: return .keys(try KeySearch(command, words))
    case .scan: return .scan(try KeySearch(command, words))
    case .dbSize: return .dbSize(try has("ALL", command, words) ? .allDatabases : .database)
    case .reset: return try reset(command, words)
    case .describe: return .describe
    case .stats: return .stats
    case .shutdown: return .shutdown(wholeCluster: try has("CLUSTER", command, words))
    default: return .oneKey(try oneKey(command, words))
    }
  }

  /// ALL and --yes may follow, in any order.
  private static func reset(
    _ command: Command, _ words: [[UInt8]]
  ) throws(Misuse) -> CommandLineCall {
    let options = words.map { String(decoding: $0, as: UTF8.self).uppercased() }
    guard Set(options).count == options.count, Set(options).isSubset(of: ["ALL", "--YES"]) else {
      throw .usage(command)
    }
    return .reset(
      options.contains("ALL") ? .allDatabases : .database, isConfirmed: options.contains("--YES"))
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
    case .incrBy: return .incrBy(key, try integer(words[1], "The delta"))
    case .lPush: return .lPush(key, Array(words.dropFirst()))
    case .rPush: return .rPush(key, Array(words.dropFirst()))
    case .lPop: return .lPop(key)
    case .rPop: return .rPop(key)
    case .lLen: return .lLen(key)
    case .lRange:
      let range = try range(words[...])
      return .lRange(key, range.start, range.stop)
    default: throw Misuse(sentence: "\(command.name) can't be called from the command line.")
    }
  }

  /// A key and two integers.
  private static func range(_ words: ArraySlice<[UInt8]>) throws(Misuse) -> RingstoreListRange {
    let words = Array(words)
    return RingstoreListRange(
      words[0], try integer(words[1], "The start"), try integer(words[2], "The stop"))
  }

  /// Whether the one word that may follow the name is there.
  private static func has(
    _ option: String, _ command: Command, _ words: [[UInt8]]
  ) throws(Misuse) -> Bool {
    guard let word = words.first else { return false }
    guard words.count == 1, String(decoding: word, as: UTF8.self).uppercased() == option else {
      throw .usage(command)
    }
    return true
  }

  static func integer(_ word: [UInt8], _ what: String) throws(Misuse) -> Int64 {
    guard let number = number(word, as: Int64.self) else {
      let text = String(decoding: word, as: UTF8.self)
      throw Misuse(sentence: "\(what) must be a 64-bit integer, not '\(text)'.")
    }
    return number
  }

  /// As with values, a number has one form: `05`, `-0` and `+5` are none.
  static func number<Number: FixedWidthInteger>(
    _ word: [UInt8], as type: Number.Type
  ) -> Number? {
    let text = String(decoding: word, as: UTF8.self)
    guard let number = Number(text), "\(number)" == text else { return nil }
    return number
  }
}

extension CommandLineCall.Misuse {
  static func usage(_ command: Command) -> Self {
    Self(
      sentence: "Wrong arguments for \(command.lineName ?? command.name); "
        + "usage: \(HelpText.usage(command))")
  }
}

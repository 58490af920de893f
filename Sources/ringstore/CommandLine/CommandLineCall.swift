// From the words of a line to a call. Commands on one key come from the command table; this file
// parses the arguments of the others.

import Commands
import NIOCore
import RingstoreAPI
import RingstoreClient

package enum CommandLineCall: Sendable {
  case oneKey(RingstoreCommand, shownAs: ReplyForm)
  case mGet([[UInt8]])
  case mSet([(key: [UInt8], value: [UInt8])])
  case mDelete([[UInt8]])
  case mExists([[UInt8]])
  case mTouch([[UInt8]])
  case mLRange([RingstoreListRange])
  case listStream(RingstoreListRange)
  case keys(KeySearch)
  case scan(KeySearch)
  case dbSize(RingstoreScope)
  case randomKey
  /// The prompt requests a confirmation before it is executed, unless it is already confirmed.
  case reset(RingstoreScope, isConfirmed: Bool)
  case describe
  case stats
  case hotKeys(count: Int)
  case bigKeys(count: Int, RingstoreScope)
  case shutdown(wholeCluster: Bool)
  case reload(isPlan: Bool)
  /// Its reply is the text, or PONG.
  case ping([UInt8]?)
  case help([UInt8]?)

  /// The error in the words, in one sentence.
  package struct Misuse: Error, Sendable, Hashable {
    package let sentence: String

    package init(sentence: String) {
      self.sentence = sentence
    }
  }

  /// - Parameter words: the name in upper or lower case, then the arguments.
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
    if PingCommand.syntax.name == String(decoding: name, as: UTF8.self).uppercased() {
      guard arguments.count <= 1 else { throw .usage(PingCommand.syntax) }
      self = .ping(arguments.first)
      return
    }
    guard let (command, form) = Self.form(name) else {
      let shown = String(decoding: name, as: UTF8.self)
      if ["SELECT", "QUIT", "EXIT"].contains(shown.uppercased()) {
        throw Misuse(sentence: "\(shown) is a command of a session; see HELP.")
      }
      throw Misuse(sentence: "Unknown command '\(shown)'; try HELP.")
    }
    if let call = form.call, let reply = form.reply {
      guard form.syntax.words.contains(words.count) else { throw .usage(form.syntax) }
      if let many = form.many, arguments.count > 1 {
        self = try Self.call(many.command, arguments)
        return
      }
      let shown = CommandWords.withWords(words) { form.reply(to: $0) } ?? reply
      self = .oneKey(try Self.encoded(words, call), shownAs: shown)
    } else {
      // The command line's own options are checked where they are parsed.
      let hasOptions = HelpText.usage(command) != form.syntax.usage
      let most = hasOptions ? Int.max : form.syntax.words.upperBound
      guard (form.syntax.words.lowerBound...most).contains(words.count) else {
        throw .usage(command)
      }
      self = try Self.call(command, arguments)
    }
  }

  /// From the command table; CLUSTER is another name for DESCRIBE.
  static func form(_ name: [UInt8]) -> (command: Command, form: CommandForm)? {
    let isCluster = String(decoding: name, as: UTF8.self).uppercased() == "CLUSTER"
    if isCluster, let form = Command.describe.forms.first { return (.describe, form) }
    return name.withUnsafeBytes { CommandTable.form(called: $0) }
  }

  /// The call without a database, which is the session's.
  private static func encoded(
    _ words: [[UInt8]], _ call: CommandForm.Maker
  ) throws(Misuse) -> RingstoreCommand {
    do throws(ArgumentError) {
      return try CommandWords.withWords(words) { words throws(ArgumentError) in
        var request = ByteBuffer()
        let said = try call(words, 0)
        said.write(into: &request)
        return RingstoreCommand(said.command.rpc, request: request)
      }
    } catch {
      throw Misuse(error)
    }
  }

  private static func call(
    _ command: Command, _ words: [[UInt8]]
  ) throws(Misuse) -> CommandLineCall {
    switch command.id {
    case .mGet: return .mGet(words)
    case .mDelete: return .mDelete(words)
    case .mExists: return .mExists(words)
    case .mTouch: return .mTouch(words)
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
    case .randomKey: return .randomKey
    case .reset: return try reset(command, words)
    case .describe: return .describe
    case .stats: return .stats
    case .hotKeys:
      let (count, _) = try countAndScope(command, words, takesAll: false)
      return .hotKeys(count: count)
    case .bigKeys:
      let (count, isAll) = try countAndScope(command, words, takesAll: true)
      return .bigKeys(count: count, isAll ? .allDatabases : .database)
    case .reload: return .reload(isPlan: try has("PLAN", command, words))
    case .shutdown: return .shutdown(wholeCluster: try has("CLUSTER", command, words))
    default: throw Misuse(sentence: "\(command.name) can't be called from the command line.")
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

  /// A number of keys (0 if not given), and whether ALL is given; in any order.
  private static func countAndScope(
    _ command: Command, _ words: [[UInt8]], takesAll: Bool
  ) throws(Misuse) -> (count: Int, isAll: Bool) {
    var (count, isAll) = (0, false)
    for word in words {
      if takesAll, !isAll, String(decoding: word, as: UTF8.self).uppercased() == "ALL" {
        isAll = true
      } else if count == 0, let number = number(word, as: UInt32.self), number > 0 {
        count = Int(number)
      } else {
        throw .usage(command)
      }
    }
    return (count, isAll)
  }

  /// A key and two integers.
  private static func range(_ words: ArraySlice<[UInt8]>) throws(Misuse) -> RingstoreListRange {
    let words = Array(words)
    return RingstoreListRange(
      words[0], try integer(words[1], "The start"), try integer(words[2], "The stop"))
  }

  /// Whether the one optional word follows the name.
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

/// The command line's own: there is no such call.
enum PingCommand {
  static let syntax = Syntax("PING [text]")
  static let summary = "Prints PONG, or the text, if the node replies."
}

extension CommandLineCall.Misuse {
  init(_ error: ArgumentError) {
    switch error {
    case .notAnInteger(let what, let word):
      let text = String(decoding: word, as: UTF8.self)
      sentence = "\(Self.capitalized(what)) must be a 64-bit integer, not '\(text)'."
    case .notAChoice(let what, let first, let second, let word):
      let text = String(decoding: word, as: UTF8.self)
      sentence = "\(Self.capitalized(what)) must be \(first) or \(second), not '\(text)'."
    case .notACount(let what, let word):
      let text = String(decoding: word, as: UTF8.self)
      sentence = "\(Self.capitalized(what)) must be from 0 to \(UInt32.max), not '\(text)'."
    case .tooSmallToTakeAway(let what):
      sentence = "\(Self.capitalized(what)) must be above \(Int64.min), since it is subtracted."
    case .notAboveZero(let what):
      sentence = "\(Self.capitalized(what)) must be above 0."
    case .tooManySeconds(let what):
      sentence = "\(Self.capitalized(what)), in milliseconds, must fit into 64 bits."
    case .notAWait(let word, let maxSeconds):
      let text = String(decoding: word, as: UTF8.self)
      sentence = "The timeout must be seconds from 0 to \(maxSeconds), as in 2.5, not '\(text)'."
    case .badOptions(let text):
      sentence = text
    }
  }

  private static func capitalized(_ text: String) -> String {
    text.prefix(1).uppercased() + text.dropFirst()
  }

  static func usage(_ command: Command) -> Self {
    usage(command.forms[0].syntax.name, HelpText.usage(command))
  }

  static func usage(_ syntax: Syntax) -> Self { usage(syntax.name, syntax.usage) }

  /// Options of `cli` have no meaning behind a command; many put them there.
  package func explained(_ words: [[UInt8]]) -> Self {
    let options = [
      "--server", "--token-file", "--database", "--timeout", "--raw", "--json", "--tls",
    ]
    let isOption = words.dropFirst().contains { word in
      let text = String(decoding: word, as: UTF8.self)
      return options.contains(text) || text.hasPrefix("--tls-")
    }
    return isOption
      ? Self(sentence: "\(sentence). Options of cli come before the command.") : self
  }

  private static func usage(_ name: String, _ usage: String) -> Self {
    Self(sentence: "Wrong arguments for \(name); usage: \(usage)")
  }
}

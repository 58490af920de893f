// The meaning of a line of a session: a call, or one of the few commands for the session itself.
// Pure, any thread.

import Commands
import RingstoreAPI

package enum SessionCommand: Sendable {
  case call(CommandLineCall)
  /// Later calls work on this database.
  case select(UInt32)
  case quit

  /// What the command table doesn't have, for help and completion.
  static let own: [(usage: String, summary: String)] =
    [
      (PingCommand.syntax.usage, PingCommand.summary),
      ("CLUSTER", "Shows nodes, slots, keys and memory as a table."),
      ("SELECT database", "Sets the database of later commands."),
      ("HELP [command]", "Lists the commands, or describes one."),
      ("QUIT", "Ends the session, as EXIT and Ctrl-D do."),
    ]

  /// Every first word, sorted.
  static let names: [String] = {
    let calls = CommandTable.all.flatMap(\.forms).flatMap { [$0.syntax.name] + $0.syntax.aliases }
    let others = own.map { String($0.usage.prefix { $0 != " " }) }
    return Set(calls + others + ["EXIT"]).sorted()
  }()

  package init(_ words: [[UInt8]]) throws(CommandLineCall.Misuse) {
    let name = words.first.map { String(decoding: $0, as: UTF8.self).uppercased() }
    switch name {
    case "QUIT", "EXIT":
      guard words.count == 1 else { throw .init(sentence: "\(name ?? "QUIT") takes no arguments.") }
      self = .quit
    case "SELECT":
      guard words.count == 2 else {
        throw .init(sentence: "Wrong arguments for SELECT; usage: SELECT database")
      }
      guard let number = CommandLineCall.number(words[1], as: UInt32.self) else {
        let text = String(decoding: words[1], as: UTF8.self)
        throw .init(
          sentence: "The database must be a whole number from 0 to \(UInt32.max), not '\(text)'.")
      }
      self = .select(number)
    default:
      self = .call(try CommandLineCall(words))
    }
  }
}

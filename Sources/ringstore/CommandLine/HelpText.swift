// HELP: what the command table says about the calls, and the few words that are the command line's
// own. Pure, any thread.

import RingstoreAPI

package enum HelpText {
  /// Our own forms; the table has those that a line of the protocol takes.
  private static let keysUsage =
    "KEYS pattern | --match G | --regex R | --prefix P [--limit N] [--token HEX]"
  private static let scanUsage =
    "SCAN [pattern | --match G | --regex R | --prefix P] [--type string|list] [--count N] "
    + "[--resume HEX]"
  private static let resetUsage = "RESET [ALL] [--yes]"
  /// A usage longer than this stands on a line of its own in the list.
  private static let usageColumnsMax = 28

  static func isHelp(_ name: [UInt8]) -> Bool { capitals(name) == "HELP" }

  static func isKnown(_ name: [UInt8]) -> Bool {
    CommandTable.command(lineName: name) != nil || own(name) != nil
  }

  /// - Parameters:
  ///   - name: a command's name; nil: all of them.
  ///   - columns: the width of what it is shown on.
  package static func text(_ name: [UInt8]?, columns: Int = .max) -> String {
    guard let name else { return list(columns) }
    if let command = CommandTable.command(lineName: name) { return page(command) }
    return own(name).map { "\($0.usage)\n  \($0.summary)" } ?? list(columns)
  }

  package static func usage(_ command: Command) -> String {
    switch command.commandID {
    case .keys: keysUsage
    case .scan: scanUsage
    case .reset: resetUsage
    default: command.usage
    }
  }

  private static func list(_ columns: Int) -> String {
    let calls = CommandTable.all.filter { $0.lineName != nil }.map { (usage($0), $0.summary) }
    let own = SessionCommand.own.filter { !isCall($0.usage) }.map { ($0.usage, $0.summary) }
    return TextLayout.twoColumns(calls + own, firstMax: usageColumnsMax, columns)
      .joined(separator: "\n")
  }

  private static func page(_ command: Command) -> String {
    var lines = [usage(command), "  \(command.summary)"]
    if !command.lineAliases.isEmpty {
      lines.append("  Also: \(command.lineAliases.joined(separator: ", "))")
    }
    let access = command.access.rawValue
    let article = access.first.map { "aeiou".contains($0) } == true ? "An" : "A"
    lines.append("  \(article) \(access) call that concerns \(command.routing.rawValue)")
    if command.commandID == .reset {
      lines.append("  A prompt asks before; with --yes it doesn't")
    }
    lines.append("  gRPC: \(command.path)")
    return lines.joined(separator: "\n")
  }

  private static func own(_ name: [UInt8]) -> (usage: String, summary: String)? {
    let word = capitals(name) == "EXIT" ? "QUIT" : capitals(name)
    return SessionCommand.own.first {
      $0.usage.split(separator: " ").first.map(String.init) == word
    }
  }

  private static func isCall(_ usage: String) -> Bool {
    usage.split(separator: " ").first.map { CommandTable.command(lineName: $0.utf8) != nil }
      ?? false
  }

  private static func capitals(_ name: [UInt8]) -> String {
    String(decoding: name, as: UTF8.self).uppercased()
  }
}

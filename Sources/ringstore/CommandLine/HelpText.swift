// HELP: the calls of the command table, and the command line's few own commands. Pure, any thread.

import Commands
import RingstoreAPI

package enum HelpText {
  /// Our own forms; the table has those of the line protocol.
  private static let keysUsage =
    "KEYS pattern | --match G | --regex R | --prefix P [--limit N] [--token HEX]"
  private static let scanUsage =
    "SCAN [pattern | --match G | --regex R | --prefix P] [--type string|list] [--count N] "
    + "[--resume HEX]"
  private static let resetUsage = "RESET [ALL] [--yes]"
  /// A usage longer than this has its own line in the list.
  private static let usageColumnsMax = 28

  static func isHelp(_ name: [UInt8]) -> Bool { capitals(name) == "HELP" }

  static func isKnown(_ name: [UInt8]) -> Bool {
    form(name) != nil || own(name) != nil
  }

  /// - Parameters:
  ///   - name: a command's name; nil: all of them.
  ///   - columns: the width of the terminal.
  package static func text(_ name: [UInt8]?, columns: Int = .max) -> String {
    guard let name else { return list(columns) }
    if let (command, form) = form(name) { return page(command, form) }
    return own(name).map { "\($0.usage)\n  \($0.summary)" } ?? list(columns)
  }

  package static func usage(_ command: Command) -> String {
    usage(command, command.forms[0])
  }

  private static func usage(_ command: Command, _ form: CommandForm) -> String {
    switch command.id {
    case .keys: keysUsage
    case .scan: scanUsage
    case .reset: resetUsage
    default: form.syntax.usage
    }
  }

  private static func form(_ name: [UInt8]) -> (command: Command, form: CommandForm)? {
    name.withUnsafeBytes { CommandTable.form(called: $0) }
  }

  private static func list(_ columns: Int) -> String {
    let calls = CommandTable.all.flatMap { command in
      command.forms.map { (usage(command, $0), $0.summary) }
    }
    let own = SessionCommand.own.filter { !isCall($0.usage) }.map { ($0.usage, $0.summary) }
    return TextLayout.twoColumns(calls + own, firstMax: usageColumnsMax, columns)
      .joined(separator: "\n")
  }

  private static func page(_ command: Command, _ form: CommandForm) -> String {
    var lines = [usage(command, form), "  \(form.summary)"]
    if !form.syntax.aliases.isEmpty {
      lines.append("  Also: \(form.syntax.aliases.joined(separator: ", "))")
    }
    let access = command.access.rawValue
    let article = access.first.map { "aeiou".contains($0) } == true ? "An" : "A"
    let several = command.otherKeys == nil ? "" : ", or several keys of one slot"
    lines.append(
      "  \(article) \(access) call that concerns \(command.routing.rawValue)\(several)")
    if command.id == .reset {
      lines.append("  A prompt asks for confirmation, unless --yes is given")
    }
    lines.append("  gRPC: \(command.rpc.path)")
    return lines.joined(separator: "\n")
  }

  private static func own(_ name: [UInt8]) -> (usage: String, summary: String)? {
    let word = capitals(name) == "EXIT" ? "QUIT" : capitals(name)
    return SessionCommand.own.first {
      $0.usage.split(separator: " ").first.map(String.init) == word
    }
  }

  private static func isCall(_ usage: String) -> Bool {
    usage.split(separator: " ").first.map { form(Array($0.utf8)) != nil } ?? false
  }

  private static func capitals(_ name: [UInt8]) -> String {
    String(decoding: name, as: UTF8.self).uppercased()
  }
}

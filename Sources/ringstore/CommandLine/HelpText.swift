// HELP: what the command table says about the calls.

import RingstoreAPI

package enum HelpText {
  /// Our own form of KEYS; the table has the one that a line of the protocol takes.
  package static let keysUsage = "KEYS pattern | KEYS --regex pattern | KEYS --prefix bytes"

  static func isHelp(_ name: [UInt8]) -> Bool {
    String(decoding: name, as: UTF8.self).uppercased() == "HELP"
  }

  /// - Parameter name: a command's name; nil: all of them.
  package static func text(_ name: [UInt8]?) -> String {
    let named = name.flatMap { CommandTable.command(lineName: $0) }
    let commands = named.map { [$0] } ?? CommandTable.all.filter { $0.lineName != nil }
    return ClusterTable.aligned(commands.map { [usage($0), $0.summary] }).joined(separator: "\n")
  }

  private static func usage(_ command: Command) -> String {
    command.commandID == .keys ? keysUsage : command.usage
  }
}

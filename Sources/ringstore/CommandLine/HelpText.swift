// HELP: what the command table says about the calls.

import RingstoreAPI

package enum HelpText {
  /// Our own forms; the table has those that a line of the protocol takes.
  private static let keysUsage =
    "KEYS pattern | --regex R | --prefix P [--limit N] [--token HEX]"
  private static let scanUsage =
    "SCAN [pattern | --regex R | --prefix P] [--type string|list] [--count N] [--resume HEX]"

  static func isHelp(_ name: [UInt8]) -> Bool {
    String(decoding: name, as: UTF8.self).uppercased() == "HELP"
  }

  /// - Parameter name: a command's name; nil: all of them.
  package static func text(_ name: [UInt8]?) -> String {
    let named = name.flatMap { CommandTable.command(lineName: $0) }
    let commands = named.map { [$0] } ?? CommandTable.all.filter { $0.lineName != nil }
    return ClusterTable.aligned(commands.map { [usage($0), $0.summary] }).joined(separator: "\n")
  }

  package static func usage(_ command: Command) -> String {
    switch command.commandID {
    case .keys: keysUsage
    case .scan: scanUsage
    default: command.usage
    }
  }
}

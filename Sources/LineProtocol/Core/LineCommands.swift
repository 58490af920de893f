// The commands of the line protocol: the one table that dispatch, HELP and docs/PROTOCOL.md read.
// Those on one key come unchanged from the command table; for the others that table has the name,
// the usage and the help. Immutable and shared by all threads.

import Commands
import NIOCore
import RingstoreAPI

package enum LineCommands {
  /// In the order of HELP.
  package static let all: [LineCommand] = oneKey + manyKeys + keyspace + connection

  private static let oneKey = CommandTable.all.flatMap { command in
    command.forms.compactMap { LineCommand($0) }
  }

  /// The command with this name, case-insensitive. O(1) expected.
  package static func command(_ word: UnsafeRawBufferPointer) -> LineCommand? {
    guard let key = WordKey(word), let place = places[key] else { return nil }
    return all[place].syntax.isCalled(word) ? all[place] : nil
  }

  /// Where the commands are in `all`, by their names and aliases.
  private static let places: [WordKey: Int] = {
    var places: [WordKey: Int] = [:]
    for (place, command) in all.enumerated() {
      for name in [command.syntax.name] + command.syntax.aliases {
        guard let key = Array(name.utf8).withUnsafeBytes({ WordKey($0) }) else {
          preconditionFailure("\(name) is longer than a command's name may be")
        }
        // The first one of a name is meant.
        if places[key] == nil { places[key] = place }
      }
    }
    return places
  }()

  /// What a request turns into.
  package static func action(_ words: CommandWords, _ context: LineContext) -> LineAction {
    do throws(LineError) {
      let found = command(words[0])
      if context.isStranger, found?.isOpen != true { throw LineError(.unauthenticatedLine) }
      guard let command = found else { throw .unknownCommand(words[0]) }
      guard command.syntax.words.contains(words.count) else {
        throw LineError(
          "wrong number of arguments for \(command.syntax.name); usage: \(command.syntax.usage)")
      }
      return try command.action(words, context)
    } catch {
      return .refuse(error)
    }
  }

  static func written(_ write: (inout ByteBuffer) -> Void) -> ByteBuffer {
    var buffer = ByteBuffer()
    write(&buffer)
    return buffer
  }
}

/// A short word without the case of its letters, for tables. Different words may have the same key.
private struct WordKey: Hashable {
  private static let bytesMax = 16
  /// Without the bit that distinguishes lower case from upper case.
  private static let caseless: UInt8 = 0xdf

  private var first: UInt64 = 0
  private var second: UInt64 = 0

  /// Nil for a word longer than any command's name.
  init?(_ word: UnsafeRawBufferPointer) {
    guard word.count <= Self.bytesMax else { return nil }
    for byte in word.prefix(8) { first = first << 8 | UInt64(byte & Self.caseless) }
    for byte in word.dropFirst(8) { second = second << 8 | UInt64(byte & Self.caseless) }
  }
}

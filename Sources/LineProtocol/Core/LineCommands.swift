// The commands of the line protocol: the one table that dispatch, HELP and docs/PROTOCOL.md read.
// Those on one key come from the command table as they are; of the others it has the name, the
// usage and the help. Immutable and shared by all threads.

import Commands
import NIOCore
import RingstoreAPI

package enum LineCommands {
  /// In the order of HELP.
  package static let all: [LineCommand] = oneKey + manyKeys + keyspace + connection

  private static let oneKey = CommandTable.all.flatMap { command in
    command.forms.compactMap { LineCommand($0) }
  }

  package static func command(_ word: UnsafeRawBufferPointer) -> LineCommand? {
    all.first { $0.syntax.isCalled(word) }
  }

  /// What a request turns into.
  package static func action(_ words: CommandWords, _ context: LineContext) -> LineAction {
    do throws(LineError) {
      guard let command = command(words[0]) else { throw .unknownCommand(words[0]) }
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

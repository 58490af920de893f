// How the entries of the table are made, and what they share.

import Commands
import NIOCore
import RingstoreAPI

extension LineCommand {
  /// A command that is one call of ringstore.v1 with the name of that call, parsed and printed in
  /// the form of the line protocol.
  static func of(
    _ command: Command,
    action: @escaping @Sendable (CommandWords, LineContext) throws(LineError) -> LineAction
  ) -> LineCommand {
    guard let form = command.forms.first else {
      preconditionFailure("a line can't express \(command.name)")
    }
    return LineCommand(form.syntax.usage, form.summary, action: action)
  }
}

extension LineAction {
  static func call(
    _ command: Command, _ form: LineReplyForm, _ request: ByteBuffer
  ) -> LineAction {
    .call(LineCall(command: command, request: request, form: form))
  }

  static func echo(_ text: UnsafeRawBufferPointer) throws(LineError) -> LineAction {
    guard LineText.fitsLine(text) else { throw .unframeable }
    return .reply(LineCommands.written { $0.writeLine(text: text) })
  }

  static func help(_ commands: [LineCommand]) -> LineAction {
    .reply(
      LineCommands.written { reply in
        reply.writeLine(listOf: commands.count)
        for command in commands {
          reply.writeString("\(command.syntax.usage): \(command.summary)\r\n")
        }
      })
  }
}

extension LineError {
  init(_ error: ArgumentError) {
    switch error {
    case .notAnInteger(let what, let word):
      self = word.withUnsafeBytes {
        .badArgument("\(what) must be a whole number of 64 bits", $0)
      }
    case .notAChoice(let what, let first, let second, let word):
      self = word.withUnsafeBytes {
        .badArgument("\(what) must be \(first) or \(second)", $0)
      }
    case .notACount(let what, let word):
      self = word.withUnsafeBytes {
        .badArgument("\(what) must be from 0 to \(UInt32.max)", $0)
      }
    case .tooSmallToTakeAway(let what):
      self.init("\(what) must be above \(Int64.min), since it is subtracted")
    case .notAboveZero(let what):
      self.init("\(what) must be above 0")
    case .tooManySeconds(let what):
      self.init("\(what), in milliseconds, must fit into 64 bits")
    case .notAWait(let word, let maxSeconds):
      self = word.withUnsafeBytes {
        .badArgument("the timeout must be seconds from 0 to \(maxSeconds), as in 2.5", $0)
      }
    case .badOptions(let sentence):
      self.init(sentence)
    }
  }
}

extension CommandWords {
  /// Whether DbSize or Reset is about all databases: without an argument it is about the
  /// connection's.
  func namesAllDatabases() throws(LineError) -> Bool {
    guard count > 1 else { return false }
    guard isWord(1, "ALL") else {
      throw .badArgument("the word after the command must be ALL", self[1])
    }
    return true
  }
}

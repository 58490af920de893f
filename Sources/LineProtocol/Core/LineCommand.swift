// What one command of the line protocol is: its words, its help, and what it turns into. Values; any
// thread. The commands themselves are in LineCommands.swift.

import Commands
import NIOCore
import RingstoreAPI

package struct LineCommand: Sendable {
  package let syntax: Syntax
  /// One line, for help.
  package let summary: String
  /// - Throws: what is answered where the arguments can't be used.
  let action: @Sendable (CommandWords, LineContext) throws(LineError) -> LineAction

  init(
    _ usage: String, _ summary: String,
    action: @escaping @Sendable (CommandWords, LineContext) throws(LineError) -> LineAction
  ) {
    syntax = Syntax(usage)
    self.summary = summary
    self.action = action
  }

  /// A command on one key, which is read and shown as its definition says.
  ///
  /// - Returns: nil where lines have their own way with the command.
  init?(_ command: Command, _ form: CommandForm) {
    guard let encode = form.encode, let reply = form.reply else { return nil }
    let id = command.id
    syntax = form.syntax
    summary = form.summary
    action = { words, context throws(LineError) in
      var request = ByteBuffer()
      do throws(ArgumentError) {
        try encode(words, context.database, &request)
      } catch {
        throw LineError(error)
      }
      return .call(id, .plain(reply), request)
    }
  }
}

/// What a command's meaning depends on, beside its words.
package struct LineContext: Sendable {
  /// The connection's database.
  package var database: UInt32
  package var limits: Limits

  package init(database: UInt32, limits: Limits) {
    self.database = database
    self.limits = limits
  }
}

/// What a command turns into.
package enum LineAction {
  /// A reply that needs no node.
  case answer(ByteBuffer)
  /// What is wrong with the words.
  case refuse(LineError)
  /// From the next command on, another database; the answer is `+OK`.
  case select(UInt32)
  /// `+OK`, and the connection ends.
  case quit
  case call(LineCall)
  /// A page of keys of which only those of one type are answered.
  case scan(LineCall, type: V1.ValueType)
}

/// A call of ringstore.v1 that a command turns into.
package struct LineCall {
  package let command: CommandID
  package let request: ByteBuffer
  package let form: LineReplyForm

  /// Whether it concerns more than one key. Nodes keep the order of calls on one key only, so such
  /// a call waits for those before it, and those behind wait for it.
  package var isAlone: Bool {
    CommandTable.keyFields(ofMethod: UInt32(truncatingIfNeeded: command.rawValue)) == nil
  }
}

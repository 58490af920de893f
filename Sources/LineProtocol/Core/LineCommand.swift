// What one command of the line protocol is: its words, its help, and what it turns into. Values;
// any thread. The commands themselves are in LineCommands.swift.

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
  init?(_ form: CommandForm) {
    guard let call = form.call, let reply = form.reply else { return nil }
    syntax = form.syntax
    summary = form.summary
    action = { words, context throws(LineError) in
      if let many = form.many, let request = many.request(words, database: context.database) {
        return .call(many.command, .count(many.command.id), request)
      }
      do throws(ArgumentError) {
        return .callOnKey(try call(words, context.database), form.reply(to: words) ?? reply)
      } catch {
        throw LineError(error)
      }
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

/// What a command turns into. Valid as long as its words.
package enum LineAction {
  /// A reply that needs no node.
  case answer(ByteBuffer)
  /// What is wrong with the words.
  case refuse(LineError)
  /// From the next command on, another database; the reply is `+OK`.
  case select(UInt32)
  /// `+OK`, and the connection ends.
  case quit
  /// A call on one key. Nodes keep the order of those on the same key.
  case callOnKey(any KeyedCall, ReplyForm)
  /// A call on more than one key: it waits for those before it, and those behind wait for it.
  case call(LineCall)
  /// A page of keys of which only those of one type are answered.
  case scan(LineCall, type: V1.ValueType)
}

/// A call on more than one key. Valid for longer than its words.
package struct LineCall {
  package let command: Command
  package let request: ByteBuffer
  package let form: LineReplyForm
}

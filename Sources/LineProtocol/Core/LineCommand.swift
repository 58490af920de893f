// One command of the line protocol: its words, its help, and the call it becomes. Values; any
// thread. The commands themselves are in LineCommands.swift.

import Commands
import NIOCore
import RingstoreAPI
import Users

package struct LineCommand: Sendable {
  package let syntax: Syntax
  /// One line, for help.
  package let summary: String
  /// - Throws: the error reply if the arguments are invalid.
  let action: @Sendable (CommandWords, LineContext) throws(LineError) -> LineAction
  /// Whether a connection without a user may send it.
  let isOpen: Bool

  init(
    _ usage: String, _ summary: String, isOpen: Bool = false,
    action: @escaping @Sendable (CommandWords, LineContext) throws(LineError) -> LineAction
  ) {
    syntax = Syntax(usage)
    self.summary = summary
    self.isOpen = isOpen
    self.action = action
  }

  /// A command on one key, parsed and printed according to its definition.
  ///
  /// - Returns: nil if the line protocol handles the command itself.
  init?(_ form: CommandForm) {
    guard let call = form.call, let reply = form.reply else { return nil }
    syntax = form.syntax
    summary = form.summary
    isOpen = false
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

/// What a command's meaning depends on, in addition to its words.
package struct LineContext: Sendable {
  /// The connection's database.
  package var database: UInt32
  package var limits: Limits
  /// Whether the node has users and the connection has no user yet.
  package var isStranger: Bool
  /// The user of the connection; nil: the node has no users, or there was no AUTH yet.
  package var principal: Principal?

  package init(
    database: UInt32, limits: Limits, isStranger: Bool = false, principal: Principal? = nil
  ) {
    self.database = database
    self.limits = limits
    self.isStranger = isStranger
    self.principal = principal
  }
}

/// What a command becomes. Valid as long as its words.
package enum LineAction {
  /// A reply that needs no node.
  case reply(ByteBuffer)
  /// The error in the words.
  case refuse(LineError)
  /// From the next command on, another database; the reply is `+OK`.
  case select(UInt32)
  /// The connection sends its credentials.
  ///
  /// - Parameter name: the name sent with the token, which also contains it.
  case authenticate(name: [UInt8]?, token: [UInt8])
  /// `+OK`, and the connection ends.
  case quit
  /// A call on one key. Nodes keep the order of calls on the same key.
  case callOnKey(any KeyedCall, ReplyForm)
  /// A call on more than one key: it waits for those before it, and later ones wait for it.
  case call(LineCall)
  /// A page of keys, of which only those of one type are in the reply.
  case scan(LineCall, type: V1.ValueType)
}

/// A call on more than one key. Valid for longer than its words.
package struct LineCall {
  package let command: Command
  package let request: ByteBuffer
  package let form: LineReplyForm
}

// What one command of the line protocol is: its form, its help, and what it turns into. Values; any
// thread. The commands themselves are in LineCommands.swift.

import NIOCore
import RingstoreAPI

package struct LineCommand: Sendable {
  /// In capitals; clients may write it as they like.
  package let name: String
  package let aliases: [String]
  /// How many words it may have, its name among them.
  package let words: ClosedRange<Int>
  package let usage: String
  /// One line, for help.
  package let summary: String
  /// - Throws: what is answered where the arguments can't be used.
  let action: @Sendable (LineWords, LineContext) throws(LineError) -> LineAction

  init(
    _ name: String, aliases: [String] = [], words: ClosedRange<Int>, usage: String,
    summary: String,
    action: @escaping @Sendable (LineWords, LineContext) throws(LineError) -> LineAction
  ) {
    self.name = name
    self.aliases = aliases
    self.words = words
    self.usage = usage
    self.summary = summary
    self.action = action
  }

  func isCalled(_ word: UnsafeRawBufferPointer) -> Bool {
    LineText.isSame(word, name) || aliases.contains { LineText.isSame(word, $0) }
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

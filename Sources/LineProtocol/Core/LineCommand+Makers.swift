// How the entries of the table are made: the forms that several commands share, and their arguments.

import NIOCore
import RingstoreAPI

extension LineCommand {
  /// A command that is one call of ringstore.v1 under the name that the call has there.
  static func of(
    _ name: String, _ id: CommandID, words: ClosedRange<Int>? = nil, aliases: [String] = [],
    action: @escaping @Sendable (LineWords, LineContext) throws(LineError) -> LineAction
  ) -> LineCommand {
    guard let call = CommandTable.command(id) else {
      preconditionFailure("every call has an entry in the command table")
    }
    let least = abs(call.arity)
    let usage = aliases.isEmpty ? call.usage : "\(name) key"
    return LineCommand(
      name, aliases: aliases, words: words ?? least...(call.arity < 0 ? Int.max - 1 : least),
      usage: usage, summary: call.summary, action: action)
  }

  /// A command with a key and nothing else.
  static func key(
    _ name: String, _ id: CommandID, _ form: LineReplyForm, aliases: [String] = []
  ) -> LineCommand {
    .of(name, id, aliases: aliases) { words, context in
      .call(
        id, form,
        LineCommands.written {
          V1.Key(key: words[1], database: context.database).write(into: &$0)
        })
    }
  }

  static func push(_ name: String, _ id: CommandID) -> LineCommand {
    .of(name, id) { words, context in
      .call(
        id, .count,
        LineCommands.written { request in
          V1.ListInsert(key: words[1], database: context.database).write(into: &request)
          for index in words.indices.dropFirst(2) {
            request.append(V1.ListInsert.Field.values, words[index])
          }
        })
    }
  }

  static func step(
    _ name: String, _ usage: String, _ summary: String, by delta: Int64
  ) -> LineCommand {
    LineCommand(
      name, words: 2...2, usage: usage, summary: "\(summary.dropLast()); a missing key counts as 0."
    ) { words, context in
      .increment(words, context, by: delta)
    }
  }
}

extension LineAction {
  static func call(
    _ command: CommandID, _ form: LineReplyForm, _ request: ByteBuffer
  ) -> LineAction {
    .call(LineCall(command: command, request: request, form: form))
  }

  static func increment(
    _ words: LineWords, _ context: LineContext, by delta: Int64
  ) -> LineAction {
    .call(
      .incrBy, .sum,
      LineCommands.written {
        V1.IncrByRequest(key: words[1], delta: delta, database: context.database).write(into: &$0)
      })
  }

  static func echo(_ text: UnsafeRawBufferPointer) throws(LineError) -> LineAction {
    guard LineText.fitsLine(text) else { throw .unframeable }
    return .answer(LineCommands.written { $0.writeLine(text: text) })
  }

  static func help(_ commands: [LineCommand]) -> LineAction {
    .answer(
      LineCommands.written { reply in
        reply.writeLine(listOf: commands.count)
        for command in commands { reply.writeString("\(command.usage): \(command.summary)\r\n") }
      })
  }
}

extension LineWords {
  func integer(_ index: Int, _ what: String) throws(LineError) -> Int64 {
    guard let number = LineText.integer(self[index]) else {
      throw .badArgument("\(what) must be a whole number of 64 bits", self[index])
    }
    return number
  }

  /// Whether DbSize or Reset is about all databases: nothing behind the name means the connection's.
  func namesAllDatabases() throws(LineError) -> Bool {
    guard count > 1 else { return false }
    guard isWord(1, "ALL") else {
      throw .badArgument("the word behind the command must be ALL", self[1])
    }
    return true
  }
}

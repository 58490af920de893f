// The commands of the line protocol: the one table that dispatch, HELP and docs/PROTOCOL.md read.
// What a command shares with a call of ringstore.v1 (how many words it has, how it is used, what it
// does) comes from that call's entry in the command table. Immutable and shared by all threads.

import NIOCore
import RingstoreAPI

package enum LineCommands {
  /// In the order of HELP.
  package static let all: [LineCommand] = strings + lists + manyKeys + keyspace + connection

  package static func command(_ word: UnsafeRawBufferPointer) -> LineCommand? {
    all.first { $0.isCalled(word) }
  }

  /// What a request turns into.
  package static func action(_ words: LineWords, _ context: LineContext) -> LineAction {
    do throws(LineError) {
      guard let command = command(words[0]) else { throw .unknownCommand(words[0]) }
      guard command.words.contains(words.count) else {
        throw LineError(
          "wrong number of arguments for \(command.name); usage: \(command.usage)")
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

  // MARK: - One key

  private static let strings: [LineCommand] = [
    .key("GET", .get, .value), set, .key("DEL", .delete, .removed, aliases: ["DELETE"]),
    .key("EXISTS", .exists, .count), .key("TYPE", .type, .type),
    .step("INCR", "INCR key", "Adds 1 to the integer that a key holds.", by: 1),
    .step("DECR", "DECR key", "Takes 1 from the integer that a key holds.", by: -1),
    .of("INCRBY", .incrBy) { words, context throws(LineError) in
      .increment(words, context, by: try words.integer(2, "the delta"))
    },
    LineCommand(
      "DECRBY", words: 3...3, usage: "DECRBY key delta",
      summary: "Takes a number from the integer that a key holds; a missing key counts as 0."
    ) { words, context throws(LineError) in
      let delta = try words.integer(2, "the delta")
      guard delta != .min else {
        throw LineError("the delta must be above \(Int64.min), since it is taken away")
      }
      return .increment(words, context, by: -delta)
    },
  ]

  private static let set = LineCommand.of("SET", .set) { words, context in
    .call(
      .set, .ok,
      written {
        V1.KeyValue(key: words[1], value: words[2], database: context.database).write(into: &$0)
      })
  }

  private static let lists: [LineCommand] = [
    .push("LPUSH", .lPush), .push("RPUSH", .rPush),
    .key("LPOP", .lPop, .taken), .key("RPOP", .rPop, .taken), .key("LLEN", .lLen, .count),
    .of("LRANGE", .lRange) { words, context throws(LineError) in
      let (start, stop) = (try words.integer(2, "the start"), try words.integer(3, "the stop"))
      return .call(
        .lRange, .list,
        written {
          V1.ListRange(key: words[1], start: start, stop: stop, database: context.database)
            .write(into: &$0)
        })
    },
  ]
}

// The commands that concern many keys, every shard, or the connection itself.

import NIOCore
import NodeCore
import RingstoreAPI

extension LineCommands {
  // MARK: - Many keys

  static let manyKeys: [LineCommand] = [
    .of("MGET", .mGet) { words, context in
      .call(
        .mGet, .values,
        written { request in
          for index in words.indices.dropFirst() {
            let mark = request.beginLengthDelimited(1, sizeHint: words[index].count + 11)
            request.writeKeyRequest(key: words[index], database: context.database)
            request.endLengthDelimited(mark)
          }
        })
    },
    .of("MSET", .mSet) { words, context throws(LineError) in
      guard words.count % 2 == 1 else { throw LineError("MSET needs a value for every key") }
      return .call(
        .mSet, .outcomes,
        written { request in
          for index in stride(from: 1, to: words.count, by: 2) {
            let (key, value) = (words[index], words[index + 1])
            let mark = request.beginLengthDelimited(1, sizeHint: key.count + value.count + 14)
            request.writeSetRequest(key: key, value: value, database: context.database)
            request.endLengthDelimited(mark)
          }
        })
    },
  ]

  // MARK: - Every shard

  static let keyspace: [LineCommand] = [
    LineCommand(
      "KEYS", words: 2...2, usage: "KEYS regex",
      summary: "Lists the keys that match a regular expression from their first byte on."
    ) { words, context throws(LineError) in
      if let refusal = PythonPattern.refusalOfGlob(words[1]) { throw refusal }
      return .call(
        .keys, .keys,
        written { request in
          PythonPattern.translated(words[1]).withUnsafeBytes {
            request.writePattern(.regex, $0)
          }
          request.writeOptionalVarintField(2, UInt64(context.database))
        })
    },
    LineCommand(
      "SCAN", words: 2...8, usage: LineScan.usageText,
      summary: "Lists keys page by page: the next cursor, then keys; 0 is start and end.",
      action: LineScan.action),
    .of("DBSIZE", .dbSize, words: 1...2) { words, context throws(LineError) in
      .call(.dbSize, .number, try words.databaseOrAll(context))
    },
    .of("RESET", .reset, words: 1...2) { words, context throws(LineError) in
      .call(.reset, .ok, try words.databaseOrAll(context))
    },
    .of("SHUTDOWN", .shutdown, words: 1...2) { words, _ throws(LineError) in
      let isWhole = words.count == 2
      guard !isWhole || words.isWord(1, "CLUSTER") else {
        throw .badArgument("SHUTDOWN takes CLUSTER or nothing", words[1])
      }
      return .call(.shutdown, .ok, written { $0.writeOptionalBoolField(1, isWhole) })
    },
  ]

  // MARK: - The connection

  static let connection: [LineCommand] = [
    LineCommand(
      "SELECT", words: 2...2, usage: "SELECT database",
      summary: "Uses another database for this connection's next commands."
    ) { words, context throws(LineError) in
      guard LineText.isNumber(words[1]), words[1].first != UInt8(ascii: "-") else {
        throw .badArgument("the database must be a whole number from 0 on", words[1])
      }
      guard let number = LineText.integer(words[1]).flatMap(UInt32.init(exactly:)) else {
        throw .noSuchDatabase(words[1], context.limits)
      }
      do throws(CallError) {
        try KeyAccess.check(database: number, CallContext(), context.limits)
      } catch {
        throw LineError(error)
      }
      return .select(number)
    },
    LineCommand(
      "PING", words: 1...2, usage: "PING [text]", summary: "Answers PONG, or the text."
    ) { words, _ throws(LineError) in
      words.count == 1 ? .answer(written { $0.writeLine(text: "PONG") }) : try .echo(words[1])
    },
    LineCommand("ECHO", words: 2...2, usage: "ECHO text", summary: "Answers the text.") {
      words, _ throws(LineError) in
      try .echo(words[1])
    },
    LineCommand(
      "HELP", words: 1...2, usage: "HELP [command]",
      summary: "Lists the commands, or tells about one."
    ) { words, _ throws(LineError) in
      guard words.count == 2 else { return .help(all) }
      guard let named = command(words[1]) else { throw .unknownCommand(words[1]) }
      return .help([named])
    },
    LineCommand("QUIT", words: 1...1, usage: "QUIT", summary: "Ends the connection.") { _, _ in
      .quit
    },
  ]
}

extension ByteBuffer {
  /// The Pattern in field 1 of a KeysRequest.
  mutating func writePattern(_ kind: PatternView.Kind, _ text: UnsafeRawBufferPointer) {
    let mark = beginLengthDelimited(1, sizeHint: text.count + 6)
    writeBytesField(kind == .regex ? 2 : 1, text)
    endLengthDelimited(mark)
  }
}

// The commands that concern many keys, every shard, or the connection itself.

import Commands
import NIOCore
import NodeCore
import RingstoreAPI

extension LineCommands {
  // MARK: - Many keys

  static let manyKeys: [LineCommand] = [
    .of(.mGet) { words, context in
      .call(
        Command.mGet, .values,
        written { request in
          for index in words.indices.dropFirst() {
            request.append(
              V1.MGetRequest.Field.keys, V1.Key(key: words[index], database: context.database))
          }
        })
    },
    .of(.mSet) { words, context throws(LineError) in
      guard words.count % 2 == 1 else { throw LineError("MSET needs a value for every key") }
      return .call(
        Command.mSet, .outcomes,
        written { request in
          for index in stride(from: 1, to: words.count, by: 2) {
            request.append(
              V1.MSetRequest.Field.items,
              V1.KeyValue(
                key: words[index], value: words[index + 1], database: context.database))
          }
        })
    },
  ]

  // MARK: - Every shard

  static let keyspace: [LineCommand] = [
    LineCommand(
      "KEYS regex",
      "Lists the keys that match a regular expression from their first byte on."
    ) { words, context throws(LineError) in
      if let refusal = PythonPattern.refusalOfGlob(words[1]) { throw refusal }
      return .call(
        Command.keys, .keys,
        written { request in
          PythonPattern.translated(words[1]).withUnsafeBytes {
            V1.KeysRequest(pattern: V1.Pattern(kind: .regex($0)), database: context.database)
              .write(into: &request)
          }
        })
    },
    LineCommand(
      LineScan.usageText,
      "Lists keys page by page: the next cursor, then keys; 0 is start and end.",
      action: LineScan.action),
    .of(.dbSize) { words, context throws(LineError) in
      let isAll = try words.namesAllDatabases()
      return .call(
        Command.dbSize, .number,
        written {
          V1.DbSizeRequest(database: isAll ? 0 : context.database, allDatabases: isAll)
            .write(into: &$0)
        })
    },
    .of(.randomKey) { _, context in
      .call(
        Command.randomKey, .randomKey,
        written { V1.RandomKeyRequest(database: context.database).write(into: &$0) })
    },
    .of(.reset) { words, context throws(LineError) in
      let isAll = try words.namesAllDatabases()
      return .call(
        Command.reset, .ok,
        written {
          V1.ResetRequest(database: isAll ? 0 : context.database, allDatabases: isAll)
            .write(into: &$0)
        })
    },
    .of(.shutdown) { words, _ throws(LineError) in
      let isWhole = words.count == 2
      guard !isWhole || words.isWord(1, "CLUSTER") else {
        throw .badArgument("SHUTDOWN takes CLUSTER or nothing", words[1])
      }
      return .call(
        Command.shutdown, .ok,
        written { V1.ShutdownRequest(wholeCluster: isWhole).write(into: &$0) })
    },
  ]

  // MARK: - The connection

  static let connection: [LineCommand] = [
    LineCommand(
      "SELECT database",
      "Sets the database of this connection's later commands."
    ) { words, context throws(LineError) in
      guard LineText.isNumber(words[1]), words[1].first != UInt8(ascii: "-") else {
        throw .badArgument("the database must be a whole number from 0 on", words[1])
      }
      guard let number = Int64(canonical: words[1]).flatMap(UInt32.init(exactly:)) else {
        throw .noSuchDatabase(words[1], context.limits)
      }
      do throws(CallError) {
        try KeyAccess.check(
          database: number, CallContext(context.principal, deadlineNanos: nil),
          KeyLimits(context.limits))
      } catch {
        throw LineError(error)
      }
      return .select(number)
    },
    LineCommand(
      "AUTH [name] token", "Sets the user of this connection's later commands.", isOpen: true
    ) { words, _ in
      .authenticate(
        name: words.count == 3 ? Array(words[1]) : nil, token: Array(words[words.count - 1]))
    },
    LineCommand(
      "PING [text]", "Returns PONG, or the text.", isOpen: true
    ) { words, _ throws(LineError) in
      words.count == 1 ? .reply(written { $0.writeLine(text: "PONG") }) : try .echo(words[1])
    },
    LineCommand("ECHO text", "Returns the text.") {
      words, _ throws(LineError) in
      try .echo(words[1])
    },
    LineCommand(
      "HELP [command]",
      "Lists the commands, or describes one."
    ) { words, _ throws(LineError) in
      guard words.count == 2 else { return .help(all) }
      guard let named = command(words[1]) else { throw .unknownCommand(words[1]) }
      return .help([named])
    },
    LineCommand("QUIT", "Closes the connection.", isOpen: true) { _, _ in
      .quit
    },
  ]
}

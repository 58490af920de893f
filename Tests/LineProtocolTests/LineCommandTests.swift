// The table of commands, and what each turns into.

import Commands
import LineProtocol
import NIOCore
import NodeCore
import RingstoreAPI
import Testing

@Suite struct LineCommandTests {
  private let context = LineContext(database: 2, limits: Limits())

  private func action(_ line: String) -> LineAction? {
    var parser = LineParser(LineLimits(Limits()))
    parser.append(ByteBuffer(string: line + "\n"))
    guard case .request(let request) = parser.next() else { return nil }
    return request.withWords { LineCommands.action($0, context) }
  }

  private func reply(to line: String) -> String? {
    switch action(line) {
    case .reply(let reply): return text(reply)
    case .refuse(let error): return "-" + String(decoding: error.text, as: UTF8.self) + "\r\n"
    default: return nil
    }
  }

  /// A call that a line turns into, with its encoded request.
  private struct SaidCall {
    let command: CommandID
    let isAlone: Bool
    var request = ByteBuffer()
  }

  private func call(_ line: String) -> SaidCall? {
    var parser = LineParser(LineLimits(Limits()))
    parser.append(ByteBuffer(string: line + "\n"))
    guard case .request(let request) = parser.next() else { return nil }
    return request.withWords { words in
      switch LineCommands.action(words, context) {
      case .callOnKey(let call, _):
        var said = SaidCall(command: call.command.id, isAlone: false)
        call.write(into: &said.request)
        return said
      case .call(let call):
        return SaidCall(command: call.command.id, isAlone: true, request: call.request)
      default: return nil
      }
    }
  }

  @Test func everyCommandThatWasPromisedIsThereOnce() {
    let names = LineCommands.all.map(\.syntax.name)
    #expect(Set(names).count == names.count)
    let promised = """
      GET GETDEL GETEX GETRANGE SETRANGE SET SETEX PSETEX SETNX GETSET DEL KEYS RESET SHUTDOWN LPUSH RPUSH LRANGE LPOP RPOP LLEN \
      EXISTS TYPE INCR INCRBY DECR DECRBY APPEND STRLEN EXPIRE PEXPIRE EXPIREAT PEXPIREAT PERSIST \
      TTL PTTL EXPIRETIME PEXPIRETIME LPUSHX RPUSHX LPOPMANY RPOPMANY LINDEX LSET LTRIM LREM LINSERT LPOS \
      LMOVE RPOPLPUSH BLPOP BRPOP BLMOVE BRPOPLPUSH MGET MSET \
      UNLINK TOUCH INSPECT OBJECT MEMORY MSETNX RANDOMKEY DBSIZE AUTH PING ECHO SELECT SCAN HELP \
      QUIT
      """
    #expect(Set(names) == Set(promised.split(separator: " ").map(String.init)))
  }

  @Test(arguments: LineCommands.all.map(\.syntax.name))
  func aCommandsUsageBeginsWithItsNameAndItsHelpIsASentence(_ name: String) throws {
    let command = try #require(LineCommands.all.first { $0.syntax.name == name })
    #expect(command.syntax.usage.split(separator: " ").first.map(String.init) == name)
    #expect(command.summary.hasSuffix("."))
    #expect(reply(to: "HELP \(name)") == "*1\r\n\(command.syntax.usage): \(command.summary)\r\n")
  }

  @Test(arguments: LineCommands.all.map(\.syntax.name))
  func aCommandWithTooFewOrTooManyWordsShowsItsUsage(_ name: String) throws {
    let command = try #require(LineCommands.all.first { $0.syntax.name == name })
    for count in [
      command.syntax.words.lowerBound - 1, min(command.syntax.words.upperBound, 50) + 1,
    ] {
      guard count > 0, !command.syntax.words.contains(count) else { continue }
      let line = [name.lowercased()] + Array(repeating: "1", count: count - 1)
      #expect(
        reply(to: line.joined(separator: " "))
          == "-wrong number of arguments for \(name); usage: \(command.syntax.usage)\r\n")
    }
  }

  /// Lines, and what their call is.
  static let calls: [(line: String, command: CommandID, isAlone: Bool)] = [
    ("get k", .get, false), ("GET k", .get, false), ("Set k v", .set, false),
    ("del k", .delete, false), ("DELETE k", .delete, false), ("exists k", .exists, false),
    ("type k", .type, false), ("incr k", .incrBy, false), ("decr k", .incrBy, false),
    ("strlen k", Command.strLen.id, false),
    ("append k v", Command.append.id, false), ("incrby k 5", .incrBy, false),
    ("decrby k -5", .incrBy, false), ("lpush k a", .lPush, false),
    ("set k v ex 5", .set, false), ("expire k 5", Command.expire.id, false),
    ("pexpireat k 5 NX", Command.expire.id, false), ("persist k", Command.persist.id, false),
    ("pttl k", Command.ttl.id, false), ("expiretime k", Command.ttl.id, false),
    ("rpush k a b", .rPush, false), ("lpop k", .lPop, false), ("rpop k", .rPop, false),
    ("lpop k 2", .lPopMany, false), ("rpop k 0", .rPopMany, false),
    ("lpushx k a", .lPush, false), ("lindex k -1", .lIndex, false), ("lset k 0 v", .lSet, false),
    ("ltrim k 0 -1", .lTrim, false), ("lrem k -2 v", .lRem, false),
    ("linsert k before p v", .lInsert, false), ("lpos k v", .lPos, false),
    ("lpos k v maxlen 10 rank -1 count 0", .lPos, false),
    ("lmove a b left RIGHT", .lMove, false), ("rpoplpush a b", .lMove, false),
    ("llen k", .lLen, false), ("lrange k 0 -1", .lRange, false),
    ("mget a b", .mGet, true),
    ("mset a 1 b 2", .mSet, true), ("keys .", .keys, true), ("scan 0", .keys, true),
    ("dbsize", .dbSize, true), ("dbsize all", .dbSize, true), ("reset", .reset, true),
    ("reset ALL", .reset, true), ("shutdown", .shutdown, true),
    ("shutdown cluster", .shutdown, true),
  ]

  @Test(arguments: calls.indices)
  func aLineTurnsIntoItsCall(_ index: Int) throws {
    let (line, command, isAlone) = Self.calls[index]
    let call = try #require(self.call(line))
    #expect(call.command == command)
    #expect(call.isAlone == isAlone)
  }

  @Test func aCallCarriesTheLinesArgumentsAndTheConnectionsDatabase() throws {
    try #require(call("SET k 'a b'")).request.withUnsafeReadableBytes { bytes in
      let view = try V1.KeyValue(bytes)
      #expect(Array(view.key) == Array("k".utf8) && Array(view.value) == Array("a b".utf8))
      #expect(view.database == 2)
    }
    try #require(call("SET k v px 7")).request.withUnsafeReadableBytes { bytes in
      guard case .ttlMillis(7) = try V1.KeyValue(bytes).expiry else {
        Issue.record("no PX")
        return
      }
    }
    try #require(call("SET k v get xx")).request.withUnsafeReadableBytes { bytes in
      let view = try V1.KeyValue(bytes)
      #expect(view.returnPrevious && view.condition == .ifPresent && view.expiry == nil)
    }
    try #require(call("SETNX k v")).request.withUnsafeReadableBytes { bytes in
      let view = try V1.KeyValue(bytes)
      #expect(view.condition == .ifAbsent)
    }
    try #require(call("GETSET k v")).request.withUnsafeReadableBytes { bytes in
      let view = try V1.KeyValue(bytes)
      #expect(view.returnPrevious)
    }
    try #require(call("SETEX k 7 v")).request.withUnsafeReadableBytes { bytes in
      let view = try V1.KeyValue(bytes)
      guard case .ttlMillis(7_000) = view.expiry else {
        Issue.record("no time to live")
        return
      }
      #expect(Array(view.value) == Array("v".utf8))
    }
    try #require(call("EXPIRE k -7 gt")).request.withUnsafeReadableBytes { bytes in
      let view = try V1.ExpireRequest(bytes)
      guard case .ttlMillis(-7_000) = view.expiry else {
        Issue.record("no time")
        return
      }
      #expect(view.condition == .ifLater && view.database == 2)
    }
    try #require(call("DECRBY k 7")).request.withUnsafeReadableBytes { bytes in
      let view = try V1.IncrByRequest(bytes)
      #expect(view.delta == -7)
    }
    try #require(call("LRANGE k -3 9")).request.withUnsafeReadableBytes { bytes in
      let view = try V1.ListRange(bytes)
      #expect(view.start == -3 && view.stop == 9 && view.database == 2)
    }
    try #require(call("RPUSH k x y")).request.withUnsafeReadableBytes { bytes in
      let view = try V1.ListInsert(bytes)
      #expect(view.values.map { Array($0) } == [[0x78], [0x79]])
    }
    try #require(call("MSET a 1 b 2")).request.withUnsafeReadableBytes { bytes in
      let view = try V1.MSetRequest(bytes)
      #expect(view.items.map { Array($0.value) } == [[0x31], [0x32]])
      #expect(view.items.allSatisfy { $0.database == 2 })
    }
    try #require(call("KEYS a|b")).request.withUnsafeReadableBytes { bytes in
      let view = try V1.KeysRequest(bytes)
      let pattern = KeyPattern(view.pattern)
      #expect(pattern.kind == .regex && pattern.text == Array("a|b".utf8))
      #expect(view.database == 2 && view.limit == 0)
    }
    try #require(call("RESET ALL")).request.withUnsafeReadableBytes { bytes in
      let view = try V1.ResetRequest(bytes)
      #expect(view.allDatabases)
    }
  }

  @Test func optionsOfLPOSAndEndsOfLMOVEAreThoseOfTheWords() throws {
    try #require(call("LPOS k COUNT COUNT 3 RANK -2 MAXLEN 9")).request.withUnsafeReadableBytes {
      let request = try V1.ListPositionRequest($0)
      #expect(Array(request.value) == Array("COUNT".utf8) && request.count == 3)
      #expect(request.rank == -2 && request.maxLength == 9 && request.database == 2)
    }
    func form(_ line: String) -> ReplyForm? {
      guard case .callOnKey(_, let form) = action(line) else { return nil }
      return form
    }
    #expect(form("LPOS k COUNT") == .positions(isMany: false))
    #expect(form("LPOS k v RANK 1") == .positions(isMany: false))
    #expect(form("LPOS k v RANK 1 COUNT 1") == .positions(isMany: true))
    try #require(call("LMOVE a b RIGHT LEFT")).request.withUnsafeReadableBytes {
      let request = try V1.ListMoveRequest($0)
      #expect(request.from == .tail && request.to == .head)
      #expect(Array(request.key) == [0x61] && Array(request.destination) == [0x62])
    }
    for number in [Int64.min, .max] {
      try #require(call("LREM k \(number) v")).request.withUnsafeReadableBytes {
        let request = try V1.ListRemoveRequest($0)
        #expect(request.count == number)
      }
    }
  }

  @Test func sCANsOptionsMayComeInAnyOrder() throws {
    try #require(call("scan 0 count 7 match a*")).request.withUnsafeReadableBytes { bytes in
      let view = try V1.KeysRequest(bytes)
      #expect(view.limit == 7 && KeyPattern(view.pattern).kind == .glob && view.pageToken.isEmpty)
    }
    try #require(call("scan 0aFF")).request.withUnsafeReadableBytes { bytes in
      let view = try V1.KeysRequest(bytes)
      #expect(Array(view.pageToken) == [0x0a, 0xff] && view.limit == 100)
      #expect(KeyPattern(view.pattern).kind == .everything)
    }
    guard case .scan(_, let type) = action("SCAN 0 TYPE List") else {
      Issue.record("no scan")
      return
    }
    #expect(type == .list)
  }

  /// Lines, and what is wrong with them.
  static let refused: [(line: String, error: String)] = [
    ("nothing at all", "unknown command nothing"),
    ("''", "unknown command "),
    ("INCRBY k x", "the delta must be a whole number of 64 bits, not 'x'"),
    ("INCRBY k +5", "the delta must be a whole number of 64 bits, not '+5'"),
    (
      "INCRBY k 9223372036854775808",
      "the delta must be a whole number of 64 bits, not '9223372036854775808'"
    ),
    (
      "DECRBY k -9223372036854775808",
      "the delta must be above -9223372036854775808, since it is subtracted"
    ),
    (
      "SET k v EX 9223372036854776", "the time to live, in milliseconds, must fit into 64 bits"
    ),
    ("SET k v PX 1 EXAT 2", "PX and EXAT exclude each other"),
    ("SET k v NX xx", "NX and XX exclude each other"),
    ("SETEX k soon v", "the time to live must be a whole number of 64 bits, not 'soon'"),
    ("INCRBY k 1 EX 0", "the time to live must be above 0"),
    ("SETRANGE k -1 v", "the offset must be from 0 to 4294967295, not '-1'"),
    (
      "GETEX k EX 1 PERSIST",
      "wrong number of arguments for GETEX; usage: GETEX key [EX seconds|PX millis|EXAT unix-seconds|PXAT unix-millis|PERSIST]"
    ),
    ("EXPIRE k soon", "the time to live must be a whole number of 64 bits, not 'soon'"),
    (
      "EXPIRE k 1 NX GT",
      "wrong number of arguments for EXPIRE; usage: EXPIRE key seconds [NX|XX|GT|LT]"
    ),
    (
      "EXPIRE k 1 AT",
      "EXPIRE takes no option 'AT'; usage: EXPIRE key seconds [NX|XX|GT|LT]"
    ),
    ("LRANGE k 0 end", "the stop must be a whole number of 64 bits, not 'end'"),
    ("LPOP k -1", "the count must be from 0 to 4294967295, not '-1'"),
    ("RPOP k 4294967296", "the count must be from 0 to 4294967295, not '4294967296'"),
    ("LPOP k x", "the count must be a whole number of 64 bits, not 'x'"),
    (
      "LREM k 9223372036854775808 v",
      "the count must be a whole number of 64 bits, not '9223372036854775808'"
    ),
    ("LINSERT k BESIDE p v", "the second argument must be BEFORE or AFTER, not 'BESIDE'"),
    ("LMOVE a b LEFT UP", "the end of the destination must be LEFT or RIGHT, not 'UP'"),
    ("LMOVE a b DOWN LEFT", "the end of the source must be LEFT or RIGHT, not 'DOWN'"),
    ("LPOS k v RANK 0", "RANK can't be 0: 1 is the first, -1 the last"),
    ("LPOS k v COUNT -1", "COUNT can't be negative"),
    ("LPOS k v MAXLEN -1", "MAXLEN can't be negative"),
    ("LPOS k v RANK x", "RANK must be a whole number of 64 bits, not 'x'"),
    (
      "LPOS k v COUNT",
      "COUNT needs a value after it; usage: LPOS key value [RANK rank] [COUNT count] [MAXLEN length]"
    ),
    (
      "LPOS k v FIRST 1",
      "LPOS takes no option 'FIRST'; usage: LPOS key value [RANK rank] [COUNT count] [MAXLEN length]"
    ),
    ("LSET k 1.5 v", "the index must be a whole number of 64 bits, not '1.5'"),
    ("MSET a 1 b", "MSET needs a value for every key"),
    ("RESET everything", "the word after the command must be ALL, not 'everything'"),
    ("SHUTDOWN now", "SHUTDOWN takes CLUSTER or nothing, not 'now'"),
    ("INCRBY k 05", "the delta must be a whole number of 64 bits, not '05'"),
    ("DECRBY k -0", "the delta must be a whole number of 64 bits, not '-0'"),
    ("LRANGE k 00 1", "the start must be a whole number of 64 bits, not '00'"),
    ("LRANGE k 0 -01", "the stop must be a whole number of 64 bits, not '-01'"),
    ("SCAN 0 COUNT 010", "COUNT must be a whole number of 64 bits, not '010'"),
    ("SELECT -1", "the database must be a whole number from 0 on, not '-1'"),
    ("SELECT one", "the database must be a whole number from 0 on, not 'one'"),
    ("SELECT 00", "the database must be a whole number from 0 on, not '00'"),
    (
      "SELECT 4294967296",
      "NO_SUCH_DATABASE There is no database 4294967296; databases are numbered 0 to 15."
    ),
    (
      "SELECT 18446744073709551616",
      "NO_SUCH_DATABASE There is no database 18446744073709551616; databases are numbered 0 to 15."
    ),
    (
      "KEYS *",
      "BAD_PATTERN The pattern can't be used: KEYS takes a regular expression here, and this is a "
        + "glob. Did you mean KEYS .*, or SCAN 0 MATCH *?"
    ),
    (
      "KEYS *:user:?",
      "BAD_PATTERN The pattern can't be used: KEYS takes a regular expression here, and this is a "
        + "glob. Did you mean KEYS .*:user:., or SCAN 0 MATCH *:user:??"
    ),
    ("SCAN x", "the cursor must be 0 or one that SCAN has returned, not 'x'"),
    ("SCAN 0 COUNT 0", "COUNT must be from 1 to 10000, not '0'"),
    ("SCAN 0 TYPE hash", "TYPE must be string or list, not 'hash'"),
    (
      "SCAN 0 MATCH",
      "wrong arguments for SCAN; usage: SCAN cursor [MATCH glob] [COUNT n] [TYPE string|list]"
    ),
    ("HELP nothing", "unknown command nothing"),
    ("ECHO $'a\\nb'", "the value has a line break, which a line can't carry; gRPC can"),
    ("$'a\\r\\nb'", "unknown command a\\r\\nb"),
  ]

  @Test(arguments: refused.indices)
  func aMistakeIsReportedInOneLine(_ index: Int) {
    let (line, error) = Self.refused[index]
    #expect(reply(to: line) == "-\(error)\r\n")
  }

  @Test func ofALongWordTheBeginningIsReported() {
    let long = String(repeating: "x", count: 500)
    #expect(reply(to: long) == "-unknown command \(long.prefix(128))...\r\n")
  }

  @Test func integersAreTakenToTheirVeryEnds() throws {
    for number in [Int64.min + 1, -1, 0, 1, Int64.max] {
      try #require(call("INCRBY k \(number)")).request.withUnsafeReadableBytes { bytes in
        let view = try V1.IncrByRequest(bytes)
        #expect(view.delta == number)
      }
    }
    try #require(call("INCRBY k \(Int64.min)")).request.withUnsafeReadableBytes { bytes in
      let view = try V1.IncrByRequest(bytes)
      #expect(view.delta == .min)
    }
  }
}

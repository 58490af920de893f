// The line protocol's parser and its commands. The first two bytes say where the rest is split. The
// parser must see the same requests however that is and keep within its bounds; what the commands
// ask for must be messages, and the replies must be lines, even where the node's reply is any
// bytes: those behind the second byte's place.

import Commands
import LineProtocol
import NIOCore
import RingstoreAPI

extension FuzzReader {
  package static let lines = FuzzReader(name: "lines", seeds: LineSeeds.all) { input in
    guard input.count > 2 else { return }
    let rest = UnsafeRawBufferPointer(rebasing: input[2...])
    let whole = try LineOutcome.of([rest])
    for pieces in Splits.pieces(of: rest, seed: input[0], at: input[1]) {
      let split = try LineOutcome.of(pieces)
      if split != whole {
        throw Finding("in \(pieces.count) pieces \(split), and in one \(whole)")
      }
    }
    let response = rest[min(Int(input[1]), rest.count)...]
    try LineReplyCheck(response: ByteBuffer(bytes: response)).run(on: rest)
  }
}

private enum LineSeeds {
  static let all: [[UInt8]] =
    texts.map { [7, 9] + Array($0.utf8) }
    + replies.map { [5, UInt8($0.lines.utf8.count)] + Array($0.lines.utf8) + $0.reply }

  private static let texts = [
    "*3\r\nSET\r\nk\r\nv\r\nGET k\nMGET a b\nSCAN 0 TYPE list MATCH a* COUNT 10\n",
    "ECHO $'a\\x41\\n' \"b \\\" c\" 'd'\\ e\nHELP\nHELP get\nSELECT 3\n*0\r\nQUIT\n",
    "MSET a 1 b 2\nLRANGE l 0 -1\nINCRBY n -5\nDECRBY n 5\nINCR n\nDECR n\nKEYS a|b\nRESET ALL\n",
    "*2\nGET\n*1\r\n*1\r\nDBSIZE\r\nDBSIZE ALL\nRESET\nSHUTDOWN CLUSTER\nSHUTDOWN\nTYPE k\n",
    "LPUSH l a b\nRPUSH l c\nLPOP l\nRPOP l\nLLEN l\nEXISTS k\nDEL k\nDELETE k\nPING\nPING x\n",
    "*2\r\n$3\r\nGET\r\n", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "*-1\r\n", "*21\r\n", "*1\r\n\r\n",
    "GET 'open\nGET a\rb\n*2\r\nGET\r\na\rb\r\nPING\r\n", "  \t\n\r\nPING\n*2\r\nGET\r\nfo",
    "*2\r\nECHO\r\n" + String(repeating: "x", count: 201) + "\r\n",
    String(repeating: "y", count: 301) + "\n",
    "*20\r\n" + String(repeating: String(repeating: "z", count: 100) + "\r\n", count: 7),
    "*2\r\nKEYS\r\n(?P<a>x)\\Z\\s[[\\s\\b]a{,3}\\S\r\nKEYS [^]\nKEYS [\nKEYS {,\nKEYS '\\'\n",
    "SCAN 00ff COUNT 0\nSCAN zz\nINCRBY n 9223372036854775808\nDECRBY n -9223372036854775808\n",
    "SELECT 16\nSELECT -1\nselect 15\nNOSUCH\nGET\nMSET a\nECHO 'a\nb'\n",
  ]

  /// Commands, and what a node might reply to them.
  private static let replies: [(lines: String, reply: [UInt8])] = [
    ("GET k\nLPOP k\n", [0x0a, 3, 0x78, 0x0a, 0x79, 0x10, 1]),
    ("MGET a b\n", [0x0a, 6, 0x0a, 4, 0x0a, 0, 0x10, 1, 0x0a, 4, 0x12, 2, 0x08, 3]),
    ("MSET a 1 b 2\n", [0x0a, 4, 0x0a, 2, 0x08, 1, 0x0a, 4, 0x12, 2, 0x08, 3]),
    ("SCAN 0\nKEYS .*\n", [0x0a, 1, 0x61, 0x0a, 1, 0x62, 0x12, 2, 0x74, 0x74]),
    ("LRANGE l 0 -1\n", [0x0a, 1, 0x61, 0x0a, 0, 0x10, 1, 0x18, 2]),
    ("DEL k\nLLEN l\nTYPE k\nINCR n\nDBSIZE\n", [0x08, 1, 0x10, 2]),
  ]
}

/// What the parser makes of input.
private enum LineOutcome: Equatable {
  case request([[UInt8]])
  case failure(LineFailure)

  private static let limits: LineLimits = {
    // Small, so that they are reached.
    var limits = LineLimits(Limits())
    limits.maxLines = 20
    limits.maxLineBytes = 200
    limits.maxRequestBytes = 600
    limits.maxInlineBytes = 300
    return limits
  }()

  /// What comes of input in these pieces.
  static func of(_ pieces: [UnsafeRawBufferPointer]) throws -> [LineOutcome] {
    var parser = LineParser(limits)
    var outcomes: [LineOutcome] = []
    for piece in pieces {
      parser.append(ByteBuffer(bytes: piece))
      while let event = parser.next() {
        switch event {
        case .request(let request):
          let words = request.copies
          outcomes.append(.request(words))
          try check(words)
        case .failure(let failure):
          outcomes.append(.failure(failure))
          try check(failure, &parser)
        }
      }
      // A line and its end, of which the last byte has not come.
      if parser.heldBytes > limits.maxRequestBytes + 2 {
        throw Finding("\(parser.heldBytes) bytes are held")
      }
    }
    if let failure = parser.finish() { outcomes.append(.failure(failure)) }
    return outcomes
  }

  private static func check(
    _ failure: LineFailure, _ parser: inout LineParser
  ) throws {
    guard failure.endsConnection else { return }
    parser.append(ByteBuffer(string: "PING\n"))
    if parser.next() != nil || parser.heldBytes > 0 || parser.finish() != nil {
      throw Finding("it continues after its end")
    }
  }

  private static func check(_ words: [[UInt8]]) throws {
    if words.isEmpty || words.count > max(limits.maxLines, limits.maxInlineBytes) {
      throw Finding("a request of \(words.count) words")
    }
    if words.contains(where: { $0.count > max(limits.maxLineBytes, limits.maxInlineBytes) }) {
      throw Finding("a word that is longer than a line")
    }
  }
}

/// Runs the commands of an input, and shows what they ask for with a reply of any bytes.
private struct LineReplyCheck {
  let response: ByteBuffer

  func run(on input: UnsafeRawBufferPointer) throws {
    var parser = LineParser(LineLimits(Limits()))
    parser.append(ByteBuffer(bytes: input))
    while let event = parser.next() {
      if case .request(let request) = event { try run(request) }
    }
  }

  private func run(_ request: LineRequest) throws {
    let context = LineContext(database: 3, limits: Limits())
    let outcome: Result<Void, any Error> = request.withWords { words in
      Result { try run(LineCommands.action(words, context), of: request) }
    }
    try outcome.get()
  }

  private func run(_ action: LineAction, of request: LineRequest) throws {
    switch action {
    case .reply(let reply): try checkLines(reply)
    case .refuse(let error):
      var reply = ByteBuffer()
      reply.writeLine(error: error)
      try checkLines(reply)
    case .select(let database):
      if database >= 16 { throw Finding("there is no database \(database)") }
    case .quit, .authenticate: break
    case .callOnKey(let call, let form):
      var message = ByteBuffer()
      call.write(into: &message)
      try check(message, call.command, of: request)
      try show(form, of: call)
    case .call(let call), .scan(let call, _):
      try check(call.request, call.command, of: request)
      try show(call.form, of: call.request)
    }
  }

  /// What a command asks for can be read by the node.
  private func check(_ message: ByteBuffer, _ command: Command, of request: LineRequest) throws {
    // A regular expression grows most: KEYS translates it.
    let mostBytes = request.copies.reduce(64) { $0 + 5 * $1.count + 16 }
    if message.readableBytes > mostBytes {
      throw Finding("\(command.name) asks with \(message.readableBytes) bytes")
    }
    do {
      try message.withUnsafeReadableBytes { try read($0, command.id) }
    } catch {
      throw error as? Finding ?? Finding("\(command.name) asks with what is no message")
    }
  }

  /// The reply can be told, whatever it is.
  private func show(_ form: ReplyForm, of call: any KeyedCall) throws {
    for response in [response, ByteBuffer()] {
      var out = ByteBuffer()
      response.withUnsafeReadableBytes { bytes in
        do throws(WireError) {
          form.write(try call.command.reply(bytes), of: call.key, into: &out)
        } catch {
          out.writeLine(error: LineError(.internalError("The reply can't be decoded.")))
        }
      }
      try checkLines(out)
    }
  }

  private func read(_ message: UnsafeRawBufferPointer, _ command: CommandID) throws {
    switch command {
    case .mGet: _ = try V1.MGetRequest(message)
    case .mSet: _ = try V1.MSetRequest(message)
    case .mDelete: _ = try V1.MDeleteRequest(message)
    case .mExists, .mTouch: _ = try V1.ManyKeysRequest(message)
    case .randomKey: _ = try V1.RandomKeyRequest(message)
    case .keys: _ = try V1.KeysRequest(message)
    case .dbSize: _ = try V1.DbSizeRequest(message)
    case .reset: _ = try V1.ResetRequest(message)
    case .shutdown: _ = try V1.ShutdownRequest(message)
    default:
      guard let keyFields = CommandTable.keyFields(ofMethod: UInt32(command.rawValue)) else {
        throw Finding("\(command) is no call on one key")
      }
      if try keyFields.find(in: message).database != 3 {
        throw Finding("\(command) asks another database")
      }
    }
  }

  private func show(_ form: LineReplyForm, of request: ByteBuffer) throws {
    for response in [response, ByteBuffer()] {
      var out = ByteBuffer()
      form.write(response, of: request, into: &out)
      try checkLines(out)
    }
  }

  /// A reply is one line, or `*N` and N of them.
  private func checkLines(_ reply: ByteBuffer) throws {
    let lines = reply.readableBytesView.split(separator: 10, omittingEmptySubsequences: false)
    guard let first = lines.first?.first, "+-*".utf8.contains(first), lines.last?.isEmpty == true,
      lines.dropLast().allSatisfy({ $0.last == 13 && !$0.dropLast().contains(13) })
    else { throw Finding("a reply that is no lines: \(text(reply))") }
    let count =
      first == UInt8(ascii: "*")
      ? Int(String(decoding: lines[0].dropFirst().dropLast(), as: UTF8.self)) : 0
    // Behind the last line end stands nothing, which `split` counts.
    if count.map({ $0 + 2 }) != lines.count { throw Finding("lines are missing: \(text(reply))") }
  }

  private func text(_ reply: ByteBuffer) -> String {
    String(decoding: reply.readableBytesView, as: UTF8.self).debugDescription
  }
}

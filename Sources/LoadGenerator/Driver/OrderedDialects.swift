// The protocols of an OrderedTransport: what they send before the first call, how they write calls,
// and what their replies mean. Each belongs to its connection, on the channel's event loop.

import NIOCore

/// A protocol whose replies come in the order of their requests.
protocol OrderedDialect {
  associatedtype Replies: ReplyReader

  /// What is sent first; a call is sent only after a good reply to each. There is at least one: the
  /// system accepts connections even for a stalled server.
  var greetings: [Greeting] { get }

  func makeReplies() -> Replies

  /// Appends a request. Returns its bytes.
  func write(_ call: PlannedCall, into buffer: inout ByteBuffer) -> Int

  /// Why the connection can't be used after this reply to a greeting. nil: it can.
  func refusal(of greeting: String, _ reply: Replies.Reply) -> CallFailure?

  func outcome(of call: PlannedCall, _ reply: Replies.Reply) -> CallOutcome
}

struct Greeting {
  /// Its command, for a sentence about its reply.
  var name: String
  var request: [UInt8]
}

/// The line protocol.
struct LineDialect: OrderedDialect {
  let greetings: [Greeting]
  private let requests: LoadRequests
  private let valueBytesMax: Int

  init(_ target: LoadTarget, _ requests: LoadRequests, _ settings: LoadSettings) {
    self.requests = requests
    valueBytesMax = settings.values.bytesMax
    var greetings: [Greeting] = []
    func greet(_ name: String, _ request: String) {
      greetings.append(Greeting(name: name, request: Array(request.utf8)))
    }
    if let token = target.connection.token { greet("AUTH", "*2\r\nAUTH\r\n\(token)\r\n") }
    if settings.database > 0 { greet("SELECT", "*2\r\nSELECT\r\n\(settings.database)\r\n") }
    greet("PING", "PING\r\n")
    self.greetings = greetings
  }

  func makeReplies() -> LineReplies { LineReplies(valueBytesMax: valueBytesMax) }

  func write(_ call: PlannedCall, into buffer: inout ByteBuffer) -> Int {
    requests.writeLines(call, into: &buffer)
  }

  func refusal(of greeting: String, _ line: UnsafeRawBufferPointer) -> CallFailure? {
    if case .failure(let failure) = LineReply(line) { failure } else { nil }
  }

  func outcome(of call: PlannedCall, _ line: UnsafeRawBufferPointer) -> CallOutcome {
    requests.outcome(of: call, line: line)
  }
}

/// Redis' protocol.
struct RESPDialect: OrderedDialect {
  let greetings: [Greeting]
  private let requests: LoadRequests
  private let valueBytesMax: Int

  init(_ target: LoadTarget, _ requests: LoadRequests, _ settings: LoadSettings) {
    self.requests = requests
    valueBytesMax = settings.values.bytesMax
    var commands: [[String]] = []
    if let token = target.connection.token {
      commands.append(["AUTH"] + [target.user, token].compactMap { $0 })
    }
    if settings.database > 0 { commands.append(["SELECT", "\(settings.database)"]) }
    commands.append(["PING"])
    greetings = commands.map { Greeting(name: $0[0], request: RESPCommand.bytes($0)) }
  }

  func makeReplies() -> RESPReplies { RESPReplies(valueBytesMax: valueBytesMax) }

  func write(_ call: PlannedCall, into buffer: inout ByteBuffer) -> Int {
    requests.writeCommand(call, into: &buffer)
  }

  func refusal(of greeting: String, _ reply: RESPReply) -> CallFailure? {
    switch reply {
    case .simple(let text) where text.elementsEqual((greeting == "PING" ? "PONG" : "OK").utf8):
      nil
    case .error(let text):
      CallFailure(errorReply: text).within("the server refused \(greeting)")
    default: .wrongReply("the reply to \(greeting) is \(reply.name)")
    }
  }

  func outcome(of call: PlannedCall, _ reply: RESPReply) -> CallOutcome {
    requests.outcome(of: call, reply: reply)
  }
}

extension CallFailure {
  /// The same failure, in a sentence that says what failed.
  fileprivate func within(_ what: String) -> CallFailure {
    let words = message.hasPrefix(reason) ? message : "\(reason) \(message)"
    return CallFailure(code: code, reason: reason, message: "\(what): \(words)")
  }
}

// A load's connections of lines and RESP against a scripted server, in memory: greetings, calls and
// their replies in order, and how a connection ends.

import NIOCore
import NIOEmbedded
import Testing

@testable import LoadGenerator

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// What a transport reports, in order. Owns the calls that are in progress.
private final class Script: LoadTransportOwner {
  var events: [String] = []
  var calls: [UInt64: PlannedCall] = [:]

  func opened() { events.append("opened") }
  func goingAway() { events.append("going away") }
  func call(_ id: UInt64) -> PlannedCall? { calls[id] }
  func replied(_ id: UInt64, _ outcome: CallOutcome, received: Int) {
    Issue.record("replies of these protocols are the end of their calls")
  }
  func ended(_ id: UInt64, _ failure: CallFailure?, at nowNanos: UInt64) {
    Issue.record("calls of these protocols have no status")
  }
  func ended(_ id: UInt64, _ outcome: CallOutcome, received: Int, at nowNanos: UInt64) {
    calls[id] = nil
    switch outcome {
    case .done(let found): events.append("\(id) done\(found ? "" : ", missing"), \(received) bytes")
    case .failed(let failure): events.append("\(id) failed, \(failure.code) \(failure.reason)")
    }
  }
  func endedAll(at nowNanos: UInt64) { events.append("room") }
  func lost(_ failure: CallFailure) { events.append("lost: \(failure.code) \(failure.message)") }

  func take() -> [String] {
    defer { events = [] }
    return events
  }
}

/// One connection and the server at its other end.
private struct Scripted<Dialect: OrderedDialect> {
  let owner = Script()
  let transport: OrderedTransport<Dialect>
  let channel: EmbeddedChannel

  init(
    _ settings: LoadSettings, user: String? = nil, token: String? = nil,
    _ make: (LoadTarget, LoadRequests, LoadSettings) -> Dialect
  ) throws {
    let target = LoadTarget(
      host: "127.0.0.1", port: 1, tls: nil, user: user, token: token, settings)
    let loop = EmbeddedEventLoop()
    transport = OrderedTransport(
      target, make(target, LoadRequests(settings), settings), eventLoop: loop, owner: owner)
    channel = EmbeddedChannel(loop: loop)
    try channel.connect(to: SocketAddress(unixDomainSocketPath: "/test")).wait()
    try channel.pipeline.syncOperations.addHandler(transport)
  }

  /// What the client has sent since the last time.
  func sent() throws -> String {
    var text = ""
    while let bytes = try channel.readOutbound(as: ByteBuffer.self) {
      text += String(buffer: bytes)
    }
    return text
  }

  /// The server sends this; what follows from it.
  func reply(_ text: String) throws -> [String] {
    try channel.writeInbound(ByteBuffer(string: text))
    channel.embeddedEventLoop.run()
    return owner.take()
  }

  func send(_ kinds: CallKind...) {
    for (place, kind) in kinds.enumerated() {
      let id = UInt64(place + 1)
      let call = PlannedCall(kind: kind, space: kind.space, key: 7, dueNanos: 0, isMeasured: true)
      owner.calls[id] = call
      _ = transport.write(call, id: id)
    }
    transport.flush()
  }
}

@Suite struct OrderedTransportTests {
  private func resp(
    user: String? = nil, token: String? = nil, database: UInt32 = 0
  ) throws -> Scripted<RESPDialect> {
    let settings = try LoadSettings.with {
      ($0.way, $0.valueBytes, $0.database, $0.batch) = (.resp, "3", database, 4)
    }
    return try Scripted(settings, user: user, token: token, RESPDialect.init)
  }

  @Test func itOpensAfterTheLastGoodReplyToAGreeting() throws {
    let connection = try resp(user: "loader", token: "secret", database: 3)
    #expect(
      try connection.sent()
        == "*3\r\n$4\r\nAUTH\r\n$6\r\nloader\r\n$6\r\nsecret\r\n"
        + "*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n*1\r\n$4\r\nPING\r\n")
    #expect(try connection.reply("+OK\r\n+OK\r\n+PO") == [])
    #expect(try connection.reply("NG\r\n") == ["opened"])
    let plain = try resp(token: "secret")
    #expect(try plain.sent() == "*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n*1\r\n$4\r\nPING\r\n")
    #expect(try plain.reply("+OK\r\n+PONG\r\n") == ["opened"])
    #expect(try resp().sent() == "*1\r\n$4\r\nPING\r\n")
  }

  @Test func aRefusedGreetingEndsItAndSaysWhich() throws {
    let cases: [(replies: String, sentence: String)] = [
      (
        "-WRONGPASS invalid password\r\n",
        "UNAUTHENTICATED the server refused AUTH: WRONGPASS invalid password"
      ),
      (
        "+OK\r\n-ERR DB index is out of range\r\n",
        "UNKNOWN the server refused SELECT: ERR DB index is out of range"
      ),
      ("+OK\r\n+OK\r\n-LOADING\r\n", "UNAVAILABLE the server refused PING: LOADING"),
      ("+OK\r\n+OK\r\n+OK\r\n", "WRONG_REPLY the reply to PING is the simple string 'OK'"),
      (":1\r\n", "WRONG_REPLY the reply to AUTH is the integer 1"),
      ("HTTP/1.1 400\r\n", "WRONG_REPLY a reply begins with 'H', which is no type of RESP2"),
    ]
    for (replies, sentence) in cases {
      let connection = try resp(token: "secret", database: 3)
      #expect(try connection.reply(replies) == ["going away", "lost: \(sentence)"])
      #expect(!connection.channel.isActive)
    }
  }

  @Test func repliesEndTheCallsInTheOrderInWhichTheyWereSent() throws {
    let connection = try resp()
    #expect(try connection.reply("+PONG\r\n") == ["opened"])
    _ = try connection.sent()
    connection.send(.get, .set, .incr, .lpop)
    let sent = try connection.sent()
    #expect(sent.components(["GET", "SET", "INCR", "LPOP"]))
    #expect(try connection.reply("$3\r\n700\r\n+O") == ["1 done, 9 bytes", "room"])
    #expect(
      try connection.reply("K\r\n:1\r\n$-1\r\n")
        == ["2 done, 5 bytes", "3 done, 4 bytes", "4 done, missing, 5 bytes", "room"])
  }

  @Test func anErrorReplyFailsItsCallOnly() throws {
    let connection = try resp()
    #expect(try connection.reply("+PONG\r\n") == ["opened"])
    connection.send(.get, .set, .incr)
    #expect(
      try connection.reply("-WRONGTYPE no\r\n*1\r\n:1\r\n:7\r\n")
        == [
          "1 failed, FAILED_PRECONDITION WRONGTYPE", "2 failed, WRONG_REPLY ", "3 done, 4 bytes",
          "room",
        ])
    #expect(connection.channel.isActive)
  }

  @Test func aMalformedReplyEndsTheConnectionAndWhatFollowsItIsNotRead() throws {
    let connection = try resp()
    #expect(try connection.reply("+PONG\r\n") == ["opened"])
    connection.send(.get, .get, .get)
    #expect(
      try connection.reply("$3\r\n700\r\n$x\r\n$3\r\n700\r\n")
        == [
          "1 done, 9 bytes", "going away", "lost: WRONG_REPLY a reply has no number behind '$'",
        ])
    #expect(connection.owner.calls.count == 2 && !connection.channel.isActive)
  }

  @Test func aReplyWithoutACallEndsTheConnection() throws {
    let connection = try resp()
    #expect(
      try connection.reply("+PONG\r\n+OK\r\n")
        == ["going away", "lost: WRONG_REPLY a reply belongs to no command"])
  }

  @Test func theServersEndIsTheEndOfItsCalls() throws {
    let connection = try resp()
    #expect(try connection.reply("+PONG\r\n") == ["opened"])
    connection.send(.get)
    try connection.channel.close().wait()
    #expect(
      connection.owner.take() == ["lost: UNAVAILABLE the peer closed the connection"])
  }

  @Test func aResetIsTheServersEndToo() throws {
    let connection = try resp()
    connection.channel.pipeline.fireErrorCaught(IOError(errnoCode: ECONNRESET, reason: "read"))
    connection.channel.embeddedEventLoop.run()
    #expect(
      connection.owner.take()
        == ["going away", "lost: UNAVAILABLE the peer closed the connection"])
  }

  @Test func linesHaveTheirOwnGreetingsAndReplies() throws {
    let settings = try LoadSettings.with {
      ($0.way, $0.valueBytes, $0.database) = (.line, "3", 3)
    }
    let connection = try Scripted(settings, token: "secret", LineDialect.init)
    #expect(try connection.sent() == "*2\r\nAUTH\r\nsecret\r\n*2\r\nSELECT\r\n3\r\nPING\r\n")
    #expect(try connection.reply("+OK\r\n+OK\r\n+PONG\r\n") == ["opened"])
    connection.send(.get, .incr)
    #expect(
      try connection.reply("+700\r\n-WRONG_TYPE It is a list.\r\n")
        == ["1 done, 6 bytes", "2 failed, FAILED_PRECONDITION WRONG_TYPE", "room"])
    let refused = try Scripted(settings, token: "secret", LineDialect.init)
    #expect(
      try refused.reply("-UNAUTHENTICATED unknown token\r\n")
        == ["going away", "lost: UNAUTHENTICATED unknown token"])
  }
}

extension String {
  /// Whether these words are in it, in this order.
  fileprivate func components(_ words: [String]) -> Bool {
    var rest = self[...]
    for word in words {
      guard let found = rest.firstRange(of: "\r\n\(word)\r\n") else { return false }
      rest = rest[found.upperBound...].isEmpty ? "" : "\r\n" + rest[found.upperBound...]
    }
    return true
  }
}

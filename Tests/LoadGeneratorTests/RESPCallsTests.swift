// Calls as commands of RESP, and what their replies mean.

import NIOCore
import Testing

@testable import LoadGenerator

@Suite struct RESPCallsTests {
  private func call(_ kind: CallKind) -> PlannedCall {
    PlannedCall(kind: kind, space: kind.space, key: 7, dueNanos: 0, isMeasured: true)
  }

  @Test func commandsAreArraysOfBulkStrings() throws {
    let requests = LoadRequests(try LoadSettings.with { $0.valueBytes = "3" })
    let expected: [CallKind: String] = [
      .get: "*2\r\n$3\r\nGET\r\n$20\r\nbench:s:000000000007\r\n",
      .set: "*3\r\n$3\r\nSET\r\n$20\r\nbench:s:000000000007\r\n$3\r\n700\r\n",
      .incr: "*2\r\n$4\r\nINCR\r\n$20\r\nbench:i:000000000007\r\n",
      .lpush: "*3\r\n$5\r\nLPUSH\r\n$20\r\nbench:l:000000000007\r\n$3\r\n700\r\n",
      .lpop: "*2\r\n$4\r\nLPOP\r\n$20\r\nbench:l:000000000007\r\n",
      .delete: "*2\r\n$3\r\nDEL\r\n$20\r\nbench:s:000000000007\r\n",
    ]
    for kind in CallKind.allCases {
      var buffer = ByteBuffer()
      let count = requests.writeCommand(call(kind), into: &buffer)
      #expect(count == buffer.readableBytes)
      #expect(String(buffer: buffer) == expected[kind], "\(kind)")
    }
  }

  @Test func aValueMayBeEmptyOrLong() throws {
    for bytes in [0, 1, 100_000] {
      let requests = LoadRequests(try LoadSettings.with { $0.valueBytes = "\(bytes)" })
      var buffer = ByteBuffer()
      let count = requests.writeCommand(call(.set), into: &buffer)
      let head = "*3\r\n$3\r\nSET\r\n$20\r\nbench:s:000000000007\r\n$\(bytes)\r\n"
      #expect(count == head.utf8.count + bytes + 2 && buffer.readableBytes == count)
      #expect(buffer.readString(length: head.utf8.count) == head)
      #expect(buffer.getString(at: buffer.writerIndex - 2, length: 2) == "\r\n")
    }
  }

  @Test func wordsOfGreetingsMayHoldAnything() {
    #expect(
      RESPCommand.bytes(["AUTH", "jörg", "a b"])
        == Array("*3\r\n$4\r\nAUTH\r\n$5\r\njörg\r\n$3\r\na b\r\n".utf8))
  }

  /// What the one reply in these bytes means for a call.
  private func outcome(
    _ kind: CallKind, _ bytes: String, _ requests: LoadRequests
  ) throws -> CallOutcome {
    var reader = RESPReplies(valueBytesMax: 64)
    reader.append(ByteBuffer(string: bytes))
    var found: CallOutcome?
    _ = try reader.next { reply, _ in found = requests.outcome(of: call(kind), reply: reply) }
    return try #require(found)
  }

  @Test func goodRepliesAreDone() throws {
    let requests = LoadRequests(try LoadSettings.with { $0.valueBytes = "3" })
    let found: [(CallKind, String)] = [
      (.get, "$3\r\n700\r\n"), (.lpop, "$3\r\n700\r\n"), (.set, "+OK\r\n"), (.incr, ":-5\r\n"),
      (.lpush, ":3\r\n"), (.delete, ":1\r\n"),
    ]
    for (kind, bytes) in found {
      #expect(try outcome(kind, bytes, requests) == .done(found: true), "\(kind)")
    }
    for (kind, bytes) in [(CallKind.get, "$-1\r\n"), (.lpop, "$-1\r\n"), (.delete, ":0\r\n")] {
      #expect(try outcome(kind, bytes, requests) == .done(found: false), "\(kind)")
    }
    requests.mustFind = true
    #expect(
      try outcome(.get, "$-1\r\n", requests)
        == .failed(.wrongReply("a stored key is missing")))
    #expect(try outcome(.lpop, "$-1\r\n", requests) == .done(found: false))
  }

  @Test func anyOtherReplyIsWrongAndSaysWhatItIs() throws {
    let requests = LoadRequests(try LoadSettings.with { $0.valueBytes = "3" })
    let wrong: [(CallKind, String, String)] = [
      (.get, "$3\r\n800\r\n", "belongs to another key"), (.get, "$2\r\n70\r\n", "2 bytes"),
      (.get, "+700\r\n", "the reply to GET is the simple string '700'"),
      (.get, "*1\r\n$3\r\n700\r\n", "the reply to GET is an array of 1 elements"),
      (.set, "+QUEUED\r\n", "'QUEUED'"), (.set, "$2\r\nOK\r\n", "a bulk string of 2 bytes"),
      (.set, "$-1\r\n", "the reply to SET is nil"), (.incr, "$1\r\n1\r\n", "a bulk string"),
      (.lpush, ":0\r\n", "empty after a push"), (.lpush, "+OK\r\n", "reply to LPUSH"),
      (.lpop, ":1\r\n", "the integer 1"), (.delete, ":2\r\n", "the reply to DEL is the integer 2"),
      (.delete, "+OK\r\n", "reply to DEL"),
    ]
    for (kind, bytes, sentence) in wrong {
      guard case .failed(let failure) = try outcome(kind, bytes, requests) else {
        Issue.record("\(kind) \(bytes): not refused")
        continue
      }
      #expect(failure.isWrongReply && failure.message.contains(sentence), "\(failure)")
    }
  }

  @Test func anErrorsFirstWordIsItsReason() throws {
    let requests = LoadRequests(try LoadSettings.with { _ in })
    let errors: [(String, CallFailure)] = [
      (
        "WRONGTYPE Operation against a key",
        CallFailure(
          code: "FAILED_PRECONDITION", reason: "WRONGTYPE", message: "Operation against a key")
      ),
      (
        "OOM command not allowed",
        .init(code: "RESOURCE_EXHAUSTED", reason: "OOM", message: "command not allowed")
      ),
      ("ERR unknown command", .init(code: "UNKNOWN", reason: "ERR", message: "unknown command")),
      ("LOADING", .init(code: "UNAVAILABLE", reason: "LOADING", message: "LOADING")),
      // Of Ringstore, over the same protocol.
      (
        "MEMORY_LIMIT It is full.",
        .init(code: "RESOURCE_EXHAUSTED", reason: "MEMORY_LIMIT", message: "It is full.")
      ),
      ("no capital letters", .init(code: "UNKNOWN", message: "no capital letters")),
      (" ERR", .init(code: "UNKNOWN", message: " ERR")), ("", .init(code: "UNKNOWN")),
    ]
    for (text, failure) in errors {
      #expect(try outcome(.set, "-\(text)\r\n", requests) == .failed(failure), "\(text)")
    }
    let long = String(repeating: "A", count: 4_000)
    guard case .failed(let failure) = try outcome(.set, "-\(long)\r\n", requests) else {
      Issue.record("an error is no success")
      return
    }
    #expect(failure.reason == "" && failure.message.utf8.count == 1_024)
  }
}

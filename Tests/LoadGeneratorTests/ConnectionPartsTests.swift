// What connections are made of, without sockets: the calls in progress, requests and replies, and
// lines that come in pieces.

import NIOCore
import NodeCore
import RingstoreAPI
import Testing

@testable import LoadGenerator

@Suite struct ConnectionPartsTests {
  private func call(_ kind: CallKind, _ key: Int = 7) -> PlannedCall {
    PlannedCall(kind: kind, space: kind.space, key: key, dueNanos: 0, isMeasured: true)
  }

  @Test func aNumberIsThatOfOneCallUnderWayAndOfNoLaterOneInItsPlace() {
    var calls = CallsInFlight(max: 3)
    var ids: Set<UInt64> = []
    for round in 0..<100 {
      let id = calls.add(call(.get, round), at: UInt64(round))
      #expect(id > 0 && ids.insert(id).inserted)
      #expect(calls.call(id)?.key == round)
      #expect(calls.remove(id)?.call.key == round)
      #expect(calls.remove(id) == nil && calls.call(id) == nil)
    }
    #expect(calls.remove(0) == nil && calls.remove(.max) == nil)
  }

  @Test func roomAgeAndTheEndOfAllCalls() {
    var calls = CallsInFlight(max: 2)
    #expect(calls.room == 2 && calls.oldestSentNanos == nil)
    _ = calls.add(call(.get), at: 5)
    let second = calls.add(call(.set), at: 3)
    #expect(calls.room == 0 && calls.count == 2 && calls.oldestSentNanos == 3)
    calls.setReply(.done(found: true), bytes: 4, of: second)
    calls.setReply(.done(found: true), bytes: 4, of: second)
    let all = calls.removeAll()
    #expect(all.count == 2 && calls.room == 2)
    guard case .failed(let failure) = all.first(where: { $0.id == second })?.reply?.outcome else {
      Issue.record("a second reply is wrong")
      return
    }
    #expect(failure.isWrongReply)
  }

  @Test func aBatchsCallsAreThoseThatWerePlanned() throws {
    let requests = LoadRequests(try LoadSettings.with { $0.database = 3 })
    var buffer = ByteBuffer()
    var sizes: [Int] = []
    for (place, kind) in CallKind.allCases.enumerated() {
      sizes.append(requests.write(call(kind), batchID: UInt64(place + 1), into: &buffer))
    }
    try buffer.withUnsafeReadableBytes { bytes in
      let calls = Array(try V1.CallBatch(bytes).calls)
      #expect(calls.map(\.id) == (1...UInt64(CallKind.allCases.count)).map { $0 })
      #expect(calls.map(\.request.count) == sizes)
      #expect(calls.map(\.method) == [.get, .set, .incrBy, .lPush, .lPop, .delete])
      let set = try V1.KeyValue(calls[1].request)
      #expect(set.database == 3 && set.value.count == 64)
      #expect(String(decoding: set.key, as: UTF8.self) == "bench:s:000000000007")
      let push = try V1.ListInsert(calls[3].request)
      #expect(push.values.count == 1 && push.values.first?.count == 64 && push.database == 3)
    }
  }

  @Test func requestsOfLinesHaveAsManyLinesAsTheySay() throws {
    let requests = LoadRequests(try LoadSettings.with { $0.valueBytes = "3" })
    for kind in CallKind.allCases {
      var buffer = ByteBuffer()
      let count = requests.writeLines(call(kind), into: &buffer)
      let text = String(buffer: buffer)
      #expect(count == text.utf8.count && text.hasPrefix("*"))
      let lines = text.split(separator: "\r\n", omittingEmptySubsequences: false).dropLast()
      #expect(lines.count - 1 == Int(lines[0].dropFirst()))
      #expect(lines[2].hasPrefix("bench:\(kind.space.letter):"))
    }
  }

  private func value(_ key: Int, _ settings: LoadSettings) -> [UInt8] {
    let bytes = KeyBytes(settings.values)
    bytes.select(.strings, key)
    return Array(bytes.value)
  }

  @Test func aReplyMustBeTheValueOfTheKeyThatWasRequested() throws {
    let settings = try LoadSettings.with { _ in }
    let requests = LoadRequests(settings)
    func outcome(_ key: Int, found: Bool = true) -> CallOutcome {
      value(key, settings).withUnsafeBytes { value in
        var reply = ByteBuffer()
        V1.Value(value: found ? value : noBytes, found: found).write(into: &reply)
        return reply.withUnsafeReadableBytes { requests.outcome(of: call(.get), response: $0) }
      }
    }
    #expect(outcome(7) == .done(found: true))
    #expect(outcome(7, found: false) == .done(found: false))
    guard case .failed(let other) = outcome(8) else {
      Issue.record("another key's value is wrong")
      return
    }
    #expect(other.isWrongReply)
    requests.mustFind = true
    guard case .failed(let missing) = outcome(7, found: false) else {
      Issue.record("a key that was stored must be found")
      return
    }
    #expect(missing.message.contains("is missing"))
    guard
      case .failed = [0xff].withUnsafeBytes({
        requests.outcome(of: call(.get), response: $0)
      })
    else {
      Issue.record("what is no message is wrong")
      return
    }
  }

  private func outcome(_ kind: CallKind, _ line: String, _ requests: LoadRequests) -> CallOutcome {
    Array(line.utf8).withUnsafeBytes { requests.outcome(of: call(kind), line: $0) }
  }

  @Test func linesReplyAsMessagesDo() throws {
    let settings = try LoadSettings.with { _ in }
    let requests = LoadRequests(settings)
    let value = "+" + String(decoding: value(7, settings), as: UTF8.self)
    let done: [(CallKind, String)] = [
      (.get, value), (.lpop, value), (.set, "+OK"), (.incr, "+-5"), (.lpush, "+3"),
      (.delete, "+OK"),
    ]
    for (kind, line) in done { #expect(outcome(kind, line, requests) == .done(found: true)) }
    for kind in [CallKind.get, .lpop, .delete] {
      #expect(outcome(kind, "-invalid key bench:", requests) == .done(found: false))
    }
    let wrong: [(CallKind, String)] = [
      (.get, "+short"), (.set, "+NO"), (.incr, "+x"), (.incr, "+"), (.lpush, "+0"),
      (.set, "-invalid key a"), (.get, ""), (.get, "*3"), (.get, "$x"),
    ]
    for (kind, line) in wrong {
      guard case .failed(let failure) = outcome(kind, line, requests) else {
        Issue.record("\(kind) \(line): not refused")
        continue
      }
      #expect(failure.isWrongReply, "\(kind) \(line)")
    }
    let failure = CallFailure(
      code: "RESOURCE_EXHAUSTED", reason: "MEMORY_LIMIT", message: "It is full.")
    #expect(outcome(.set, "-MEMORY_LIMIT It is full.", requests) == .failed(failure))
    #expect(
      outcome(.set, "-DEADLINE_EXCEEDED late", requests)
        == .failed(CallFailure(code: "DEADLINE_EXCEEDED", message: "late")))
    #expect(
      outcome(.set, "-what is this", requests)
        == .failed(CallFailure(code: "UNKNOWN", message: "what is this")))
  }

  @Test func linesAreTheSameHoweverTheyAreCut() throws {
    let text = Array("+one\r\n\r\n+\r\r\n-two three\n+four\r\n".utf8)
    for size in 1...text.count {
      var replies = LineReplies(valueBytesMax: 100)
      var lines: [String] = []
      var bytes = 0
      for start in stride(from: 0, to: text.count, by: size) {
        replies.append(ByteBuffer(bytes: text[start..<min(start + size, text.count)]))
        while try replies.next({
          lines.append(String(decoding: $0, as: UTF8.self))
          bytes += $1
        }) {}
      }
      #expect(lines == ["+one", "", "+\r", "-two three", "+four"], "pieces of \(size)")
      #expect(bytes == text.count)
    }
  }

  @Test func aLineWithoutAnEndIsTooLongAtSomePoint() throws {
    var replies = LineReplies(valueBytesMax: 10)
    replies.append(ByteBuffer(repeating: UInt8(ascii: "a"), count: LineReplies.headroomBytes + 10))
    #expect(try !replies.next { _, _ in })
    replies.append(ByteBuffer(string: "a"))
    #expect(throws: MalformedReply.self) { _ = try replies.next { _, _ in } }
  }

  @Test func bytesThatWereReadDoNotStayInTheBuffer() throws {
    var lines = LineReplies(valueBytesMax: 100)
    var replies = RESPReplies(valueBytesMax: 100)
    // Every read ends inside a reply, so that no buffer is ever empty.
    lines.append(ByteBuffer(string: "+a"))
    replies.append(ByteBuffer(string: "+a"))
    let piece = String(repeating: "bcd\r\n+a", count: 100)
    for _ in 0..<1_000 {
      lines.append(ByteBuffer(string: piece))
      while try lines.next({ line, _ in #expect(line.count == 5) }) {}
      replies.append(ByteBuffer(string: piece))
      while try replies.next({ _, bytes in #expect(bytes == 7) }) {}
    }
    #expect(lines.buffer.storageCapacity < 4 * piece.utf8.count)
    #expect(replies.buffer.storageCapacity < 4 * piece.utf8.count)
  }
}

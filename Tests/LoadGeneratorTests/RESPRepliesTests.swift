// The reader of RESP's replies: each form, pieces of every size, what is cut off, what changes on
// its way, and the limits. Replies are compared as text; a fault is the last one.

import NIOCore
import TestSeeds
import Testing

@testable import LoadGenerator

/// What a reader makes of pieces: its replies, and the sentence that ended it.
struct ReadReplies: Equatable {
  var replies: [String] = []
  var bytes = 0
  var fault: String?

  init(_ pieces: [ArraySlice<UInt8>], valueBytesMax: Int = 64) {
    var reader = RESPReplies(valueBytesMax: valueBytesMax)
    for piece in pieces {
      reader.append(ByteBuffer(bytes: piece))
      do throws(MalformedReply) {
        while try reader.next({ reply, bytes in
          replies.append(Self.text(reply))
          self.bytes += bytes
        }) {}
      } catch {
        fault = error.sentence
        return
      }
    }
  }

  init(_ text: String) { self.init([Array(text.utf8)[...]]) }

  static func text(_ reply: RESPReply) -> String {
    switch reply {
    case .simple(let text): "+" + String(decoding: text, as: UTF8.self)
    case .error(let text): "-" + String(decoding: text, as: UTF8.self)
    case .integer(let number): ":\(number)"
    case .bulk(let bytes): "$" + String(decoding: bytes, as: UTF8.self)
    case .null: "nil"
    case .array(let count): "*\(count)"
    }
  }
}

@Suite struct RESPRepliesTests {
  @Test func everyFormIsRead() {
    let forms: [(String, String)] = [
      ("+OK\r\n", "+OK"), ("+\r\n", "+"), ("-ERR no\r\n", "-ERR no"), (":0\r\n", ":0"),
      (":-9223372036854775808\r\n", ":-9223372036854775808"),
      (":9223372036854775807\r\n", ":9223372036854775807"),
      ("$3\r\nabc\r\n", "$abc"), ("$0\r\n\r\n", "$"), ("$4\r\n\r\n$1\r\n", "$\r\n$1"),
      ("$-1\r\n", "nil"), ("*-1\r\n", "nil"), ("*0\r\n", "*0"), ("*2\r\n:1\r\n$-1\r\n", "*2"),
      ("*2\r\n*2\r\n+a\r\n*0\r\n*1\r\n*1\r\n-e\r\n", "*2"),
    ]
    for (bytes, reply) in forms {
      let read = ReadReplies(bytes)
      #expect(read.replies == [reply] && read.fault == nil, "\(bytes)")
      #expect(read.bytes == bytes.utf8.count)
    }
    let all = ReadReplies(forms.map(\.0).joined())
    #expect(all.replies == forms.map(\.1) && all.fault == nil)
  }

  @Test func repliesAreTheSameWhereverTheyAreCut() {
    TestSeed.run(count: 40) { seed in
      var random = SeededRandom(seed: seed)
      let (bytes, replies) = Self.stream(&random, replies: 6)
      for place in 0...bytes.count {
        let read = ReadReplies([bytes[..<place], bytes[place...]])
        #expect(read.replies == replies && read.fault == nil, "seed \(seed), cut at \(place)")
        #expect(read.bytes == bytes.count)
      }
      let single = ReadReplies(bytes.indices.map { bytes[$0..<$0 + 1] })
      #expect(single.replies == replies && single.fault == nil, "seed \(seed), single bytes")
    }
  }

  @Test func whatIsMissingIsWaitedForAndNothingIsInventedForIt() {
    TestSeed.run(count: 40) { seed in
      var random = SeededRandom(seed: seed)
      let (bytes, replies) = Self.stream(&random, replies: 6)
      for count in 0..<bytes.count {
        let read = ReadReplies([bytes[..<count]])
        #expect(read.fault == nil, "seed \(seed), \(count) bytes")
        #expect(read.replies.count < replies.count)
        #expect(read.replies[...] == replies.prefix(read.replies.count))
        #expect(read.bytes <= count)
      }
    }
  }

  /// With one wrong byte there are other replies or a fault; which, doesn't depend on the pieces.
  @Test func aChangedByteIsReadInTheSameWayHoweverItArrives() {
    var faults = 0
    TestSeed.run(count: 40) { seed in
      var random = SeededRandom(seed: seed)
      var (bytes, _) = Self.stream(&random, replies: 4)
      for place in bytes.indices {
        let kept = bytes[place]
        bytes[place] = Self.likelyBytes.randomElement(using: &random) ?? 0
        let whole = ReadReplies([bytes[...]])
        let single = ReadReplies(bytes.indices.map { bytes[$0..<$0 + 1] })
        #expect(whole == single, "seed \(seed), byte \(place) is now \(bytes[place])")
        if whole.fault != nil { faults += 1 }
        bytes[place] = kept
      }
    }
    #expect(faults > 100)
  }

  @Test func whatIsNoReplyIsASentence() {
    let cases: [(String, String)] = [
      ("HTTP/1.1 400 Bad Request\r\n", "begins with 'H'"), ("\0\0\u{6}", "byte 0x00"),
      ("_\r\n", "begins with '_'"), ("%1\r\n+a\r\n:1\r\n", "begins with '%'"),
      ("\r\n", "byte 0x0d"), ("+a\n", "line feed without"), ("+a\rb\r\n", "inside a line"),
      (":\r\n", "no number behind ':'"), (":1.5\r\n", "no number"), (":+1\r\n", "no number"),
      (":9223372036854775808\r\n", "no number"), ("$\r\n", "no number behind '$'"),
      ("$03\r\nabc\r\n", "no number"), ("$-2\r\n", "the length -2"), ("$ 3\r\n", "no number"),
      ("$3\r\nabcd\r\n", "no line end behind its 3 bytes"),
      ("$3\r\nabc\n\n", "no line end"), ("$99999999999999999999\r\n", "no number"),
      ("*x\r\n", "no number behind '*'"), ("*-2\r\n", "the length -2"),
      ("*2\r\n+a\r\nb", "begins with 'b'"), ("*1\r\n$2\r\nabc\r\n", "no line end"),
    ]
    for (bytes, sentence) in cases {
      let read = ReadReplies(bytes)
      #expect(read.replies == [], "\(bytes)")
      #expect(read.fault?.contains(sentence) == true, "\(bytes): \(read.fault ?? "no fault")")
    }
  }

  @Test func repliesBeforeAFaultCountAndNoneBehindIt() {
    let read = ReadReplies("+a\r\n:2\r\n?\r\n+b\r\n")
    #expect(read.replies == ["+a", ":2"] && read.fault?.contains("'?'") == true)
  }

  @Test func afterAFaultThereIsOnlyTheSameFault() throws {
    for bytes in ["?\r\n+a\r\n", "*9999\r\n+a\r\n", "*1\r\n$-7\r\n+a\r\n", "+a\n+a\r\n"] {
      var reader = RESPReplies(valueBytesMax: 64)
      reader.append(ByteBuffer(string: bytes))
      let first = #expect(throws: MalformedReply.self) { _ = try reader.next { _, _ in } }
      reader.append(ByteBuffer(string: "+b\r\n"))
      let second = #expect(throws: MalformedReply.self) { _ = try reader.next { _, _ in } }
      #expect(first == second, "\(bytes)")
    }
  }

  @Test func limitsHoldAtTheirLastByteAndNotBehindIt() {
    func text(_ count: Int) -> String { String(repeating: "a", count: count) }
    let bulkMax = 64 + RESPReplies.headroomBytes
    let lineMax = RESPReplies.lineBytesMax - 1
    let depthMax = RESPReplies.depthMax
    let elementsMax = RESPReplies.elementsMax
    let nested = String(repeating: "*1\r\n", count: depthMax - 1)
    func ones(_ count: Int) -> String { String(repeating: ":1\r\n", count: count) }
    let cases: [(allowed: String, refused: String, sentence: String)] = [
      ("+\(text(lineMax))\r\n", "+\(text(lineMax + 1))\r\n", "longer than 4096 bytes"),
      ("-\(text(lineMax))\r\n", "-\(text(lineMax + 1))", "longer than 4096 bytes"),
      (
        "$\(bulkMax)\r\n\(text(bulkMax))\r\n", "$\(bulkMax + 1)\r\n",
        "none may have more than \(bulkMax)"
      ),
      (nested + "*1\r\n:1\r\n", nested + "*1\r\n*1\r\n:1\r\n", "arrays within each other"),
      (
        "*\(elementsMax)\r\n\(ones(elementsMax))", "*\(elementsMax + 1)\r\n",
        "more than 1024 elements"
      ),
      (
        "*2\r\n*\(elementsMax - 2)\r\n\(ones(elementsMax - 1))",
        "*2\r\n*\(elementsMax - 1)\r\n", "more than 1024 elements"
      ),
      ("*0\r\n", "*9223372036854775807\r\n", "elements"),
    ]
    for (allowed, refused, sentence) in cases {
      let good = ReadReplies(allowed)
      #expect(good.replies.count == 1 && good.fault == nil, "\(good.fault ?? "") \(sentence)")
      let bad = ReadReplies(refused)
      #expect(bad.replies == [] && bad.fault?.contains(sentence) == true, "\(sentence)")
    }
  }

  // MARK: - Random replies

  /// Bytes that decide something, more often than others.
  private static let likelyBytes = Array("\r\n+-:$*_0123456789a".utf8) + [0, 0x7f, 0x80, 0xff]

  private static func stream(
    _ random: inout SeededRandom, replies count: Int
  ) -> (bytes: [UInt8], replies: [String]) {
    var bytes: [UInt8] = []
    var replies: [String] = []
    for _ in 0..<count {
      let (one, text) = reply(&random, depth: 0)
      bytes += one
      replies.append(text)
    }
    return (bytes, replies)
  }

  private static func reply(
    _ random: inout SeededRandom, depth: Int
  ) -> (bytes: [UInt8], text: String) {
    switch Int.random(in: 0..<(depth < 3 ? 8 : 6), using: &random) {
    case 0: return (Array("+OK\r\n".utf8), "+OK")
    case 1: return (Array("-ERR wrong\r\n".utf8), "-ERR wrong")
    case 2:
      let number = Int64(truncatingIfNeeded: random.next() >> random.next() % 64)
      return (Array(":\(number)\r\n".utf8), ":\(number)")
    case 3: return (Array((Bool.random(using: &random) ? "$-1\r\n" : "*-1\r\n").utf8), "nil")
    case 4, 5:
      let count = Int.random(in: 0...20, using: &random)
      let value = (0..<count).map { _ in likelyBytes.randomElement(using: &random) ?? 0 }
      let text = String(decoding: value, as: UTF8.self)
      return (Array("$\(value.count)\r\n".utf8) + value + Array("\r\n".utf8), "$\(text)")
    default:
      let count = Int.random(in: 0...3, using: &random)
      let elements = (0..<count).flatMap { _ in reply(&random, depth: depth + 1).bytes }
      return (Array("*\(count)\r\n".utf8) + elements, "*\(count)")
    }
  }
}

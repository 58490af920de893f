// The parser: what it takes, what it refuses, and that the way in which bytes are split, at any
// byte, makes no difference.

import LineProtocol
import NIOCore
import NodeCore
import RingstoreAPI
import TestSeeds
import Testing

@Suite struct LineParserTests {
  /// Input and what becomes of it.
  static let cases: [(input: String, events: [String])] = [
    ("*2\r\nGET\r\nfoo\r\n", ["GET|foo"]),
    ("*2\nGET\nfoo\n", ["GET|foo"]),
    ("*3\r\nSET\nk\r\nv\n", ["SET|k|v"]),
    ("*3\r\nSET\r\n*1\r\n$3\r\n", ["SET|*1|$3"]),
    ("*2\r\nGET\r\n\r\n", ["GET|"]),
    ("*1\r\n\r\n", [""]),
    ("*2\r\nECHO\r\n a  b \r\n", ["ECHO| a  b "]),
    ("*2\r\nGET\r\na\r\n*2\r\nGET\r\nb\r\n", ["GET|a", "GET|b"]),
    ("*002\r\nGET\r\na\r\n", ["GET|a"]),
    ("GET foo\r\n", ["GET|foo"]), ("GET foo\n", ["GET|foo"]), ("  GET\tfoo  \n", ["GET|foo"]),
    ("\r\n\n  \nPING\n\n", ["PING"]),
    ("SET k 'a b'\nSET k \"a b\"\nSET k a\\ b\n", ["SET|k|a b", "SET|k|a b", "SET|k|a b"]),
    ("$3\r\nGET\r\n", ["$3", "GET"]),
    ("GET 'foo\nPING\n", ["-a quote is not closed", "PING"]),
    ("*0\r\nPING\n", ["-a request has at least one line, the command", "PING"]),
    ("*2\r\nGET\r\na\rb\r\nPING\n", ["-a line can't hold a carriage return", "PING"]),
    ("GET a\rb\nPING\n", ["-a line can't hold a carriage return", "PING"]),
    ("*2\r\n$3\r\nGET\r\n", [reserved]), ("*1\r\n$", [reserved]),
    ("*10\r\n", ["!a request has at most 9 lines"]),
    ("*99999999999\r\n", ["!a request has at most 9 lines"]),
    ("*1\r\n\(String(repeating: "x", count: 24))\r\n", [String(repeating: "x", count: 24)]),
    ("*1\r\n\(String(repeating: "x", count: 25))\r\n", ["!a line has at most 24 bytes"]),
    ("*1\r\n\(String(repeating: "x", count: 25))\n", ["!a line has at most 24 bytes"]),
    ("*1\r\n\(String(repeating: "x", count: 99))", ["!a line has at most 24 bytes"]),
    (
      "*4\r\nSET\r\n\(String(repeating: String(repeating: "x", count: 24) + "\r\n", count: 3))",
      ["!a request has at most 64 bytes"]
    ),
    (String(repeating: "y", count: 40) + "\n", [String(repeating: "y", count: 40)]),
    (
      String(repeating: "y", count: 41) + "\n",
      ["!a command on one line has at most 40 bytes; send longer ones as *N and N lines"]
    ),
    ("*2\r\nGET\r\nfo", ["!the input ended within a request, which was not executed"]),
    ("*2\r\n", ["!the input ended within a request, which was not executed"]),
    ("GET foo", ["!the input ended within a request, which was not executed"]),
    ("  \t", []), ("", []),
    ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", ["!"]), ("get /a http\nHOST: x\n", ["get|/a|http", "!"]),
    ("host:8080\n", ["!"]), ("POST /keys\n", ["!"]), ("PRI * HTTP/2.0\r\n\r\nSM\r\n", ["!"]),
    ("SET k HTTP/1.1\n", ["SET|k|HTTP/1.1"]), ("*2\r\nGET\r\nHost:\r\n", ["GET|Host:"]),
  ]

  private static let reserved =
    "!a command can't begin with $: that form, with lengths, is reserved"
  private static let badCount =
    "!a request begins with * and the number of its lines, or is one line with a command"

  @Test(arguments: cases.indices)
  func eachInputMeansTheSameHoweverItIsSplitInTwo(_ index: Int) {
    let (input, events) = Self.cases[index]
    let bytes = Array(input.utf8)
    for place in 0...bytes.count {
      #expect(parse([Array(bytes[..<place]), Array(bytes[place...])]) == events, "at \(place)")
    }
    #expect(parse(bytes.map { [$0] }) == events, "byte by byte")
  }

  @Test(arguments: [
    "*\r\n", "*-1\r\n", "*abc\r\n", "*+1\r\n", "* 1\r\n", "*1 \r\n", "*1.5\r\n", "**\r\n",
    "*\u{0}\r\n", "*-9223372036854775809\r\n", "*11111111111111x11111", "*000000000000000000",
  ])
  func aBadCountEndsTheConnection(_ input: String) {
    let bytes = Array((input + "PING\r\n").utf8)
    for place in 0...bytes.count {
      #expect(parse([Array(bytes[..<place]), Array(bytes[place...])]) == [Self.badCount])
    }
  }

  @Test(arguments: [
    "*20002\r\n", "*99999999999999\n", "*123456789012345\r\n", "*1000000000000000000\r\n",
    "*1111111111111111111111", "*18446744073709551617\r\n",
  ])
  func tooLargeACountIsReportedAsThatHoweverManyDigitsItHas(_ input: String) {
    let bytes = Array((input + "PING\r\n").utf8)
    for place in 0...bytes.count {
      #expect(
        parse([Array(bytes[..<place]), Array(bytes[place...])])
          == ["!a request has at most 9 lines"])
    }
  }

  @Test func aLineHoldsAnyByteButCRAndLF() {
    let bytes = (UInt8.min...UInt8.max).filter { $0 != 0x0a && $0 != 0x0d }
    var parser = LineParser(LineLimits(Limits()))
    parser.append(ByteBuffer(bytes: Array("*2\r\nECHO\r\n".utf8) + bytes + Array("\r\n".utf8)))
    guard case .request(let request) = parser.next() else {
      Issue.record("no request")
      return
    }
    #expect(request.copies[1] == bytes)
  }

  @Test func nothingIsKeptForWhatAClientOnlyAnnounces() {
    var parser = LineParser(LineLimits(Limits()))
    parser.append(ByteBuffer(string: "*20001\r\n"))
    #expect(parser.next() == nil)
    #expect(parser.heldBytes == 8)
    parser.append(ByteBuffer(string: "MSET\r\n"))
    #expect(parser.next() == nil)
    #expect(parser.heldBytes == 14)
  }

  @Test func whatIsHeldStaysWithinTheBoundsWhateverComes() {
    var random = SplitMix64(seed: TestSeed.value)
    for _ in 0..<200 {
      var parser = LineParser(smallLimits)
      for _ in 0..<50 {
        let piece = Soup.piece(&random)
        parser.append(ByteBuffer(bytes: piece))
        while parser.next() != nil {}
        #expect(parser.heldBytes <= smallLimits.maxRequestBytes + 2, "seed \(TestSeed.value)")
      }
    }
  }

  @Test func garbageMeansTheSameHoweverItIsSplitAndNothingTraps() {
    var random = SplitMix64(seed: TestSeed.value &+ 1)
    for round in 0..<3_000 {
      let pieces = (0..<Int.random(in: 1...12, using: &random)).map { _ in Soup.piece(&random) }
      #expect(
        parse(pieces) == parse([pieces.flatMap { $0 }]), "seed \(TestSeed.value), round \(round)")
    }
  }
}

/// Bytes that look like requests now and then.
enum Soup {
  private static let scraps = [
    "*1\r\n", "*2\r\n", "*3\n", "*0\r\n", "*-1\r\n", "GET\r\n", "foo\r\n", "SET k v\n", "\r\n",
    "\n", "\r", "$3\r\n", "'", "\"", "\\", "$'\\x41\\n'", " ", "\u{0}", "Host: x\r\n", "PING\n",
    "GET / HTTP/1.1\r\n", "xxxxxxxxxxxxxxxxxxxxxxxxxx", "*9\r\n",
  ]

  static func piece(_ random: inout SplitMix64) -> [UInt8] {
    if Int.random(in: 0..<8, using: &random) == 0 {
      return (0..<Int.random(in: 0...20, using: &random)).map { _ in
        UInt8.random(in: 0...255, using: &random)
      }
    }
    var bytes = Array(scraps[Int.random(in: 0..<scraps.count, using: &random)].utf8)
    if Int.random(in: 0..<10, using: &random) == 0 { bytes.removeLast() }
    return bytes
  }
}

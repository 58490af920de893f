// Percent coding, grpc-timeout and status numbers: what peers send may be anything.

import TestSeeds
import Testing

@testable import GRPC

@Suite struct TextCodingTests {
  @Test func aMessageOfAnyTextSurvivesPercentCoding() {
    for text in ["", "plain", "50 % off", "zwölf Boxkämpfer", "line\nbreak\t", "🦊%25"] {
      let encoded = PercentCoding.encode(text)
      #expect(encoded.allSatisfy { $0 >= 0x20 && $0 <= 0x7E })
      #expect(PercentCoding.decode(encoded) == text)
    }
  }

  @Test func percentCodingWritesUpperCaseHexOfTheBytes() {
    #expect(PercentCoding.encode("a%ö") == Array("a%25%C3%B6".utf8))
    #expect(PercentCoding.decode(Array("a%c3%b6".utf8)) == "aö")
  }

  @Test(arguments: ["100%", "%", "%1", "%zz", "%%41", "a%2gb"])
  func aBadEscapeIsShownRaw(_ text: String) {
    let expected = text == "%%41" ? "%A" : text
    #expect(PercentCoding.decode(Array(text.utf8)) == expected)
  }

  @Test func bytesThatAreNoTextAreRepairedRatherThanRefused() {
    #expect(PercentCoding.decode(Array("%FF!".utf8)) == "\u{FFFD}!")
    #expect(PercentCoding.decode([0xC3, 0x28]) == "\u{FFFD}(")
  }

  @Test func randomTextNeverTraps() {
    var random = SeededRandom.forTest("text coding")
    for length in 0..<300 {
      let bytes = random.bytes(length)
      _ = PercentCoding.decode(bytes)
      _ = GRPCTimeout.parse(bytes)
    }
  }

  @Test func timeoutsAreReadInEveryUnit() {
    let cases: [(String, UInt64)] = [
      ("7n", 7), ("7u", 7000), ("7m", 7_000_000), ("7S", 7_000_000_000), ("7M", 420_000_000_000),
      ("7H", 25_200_000_000_000), ("00000001n", 1), ("0S", 0), ("99999999H", .max),
    ]
    for (text, nanos) in cases { #expect(GRPCTimeout.parse(Array(text.utf8)) == nanos) }
  }

  @Test(arguments: ["", "S", "7", "7s", "-1S", "+1S", "1.5S", "123456789n", "1 S", " 1S", "1Sn"])
  func malformedTimeoutsAreRefused(_ text: String) {
    #expect(GRPCTimeout.parse(Array(text.utf8)) == nil)
  }

  @Test func aTimeoutIsNeverWrittenShorterThanItIs() throws {
    var random = SeededRandom.forTest("timeout")
    var durations: [UInt64] = [0, 1, 99_999_999, 100_000_000, 100_000_001, .max]
    for _ in 0..<500 {
      durations.append(random.next() >> UInt64.random(in: 0..<64, using: &random))
    }
    for nanos in durations {
      let text = GRPCTimeout.format(nanos: nanos)
      #expect(text.count <= 9)
      let read = try #require(GRPCTimeout.parse(text))
      #expect(read >= max(nanos, 1), "\(nanos)")
      // Eight digits: the error stays below a sixtieth even where the unit jumps to minutes.
      if nanos > 100_000_000 { #expect(Double(read) <= Double(nanos) * 1.02, "\(nanos)") }
    }
    #expect(GRPCTimeout.format(nanos: 0) == Array("1n".utf8))
    #expect(GRPCTimeout.format(nanos: 100_000_001) == Array("100001u".utf8))
  }

  @Test func statusNumbersAreReadAndUnknownOnesCountAsUnknown() {
    func read(_ text: String) -> StatusCode {
      Array(text.utf8).withUnsafeBytes { StatusCode(wire: $0) }
    }
    for code in StatusCode.allCases { #expect(read("\(code.rawValue)") == code) }
    for text in ["", "17", "99", "-1", "x", "0x1", "999999999999999999999"] {
      #expect(read(text) == .unknown, "\(text)")
    }
  }
}

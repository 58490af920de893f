// Bytes, numbers and addresses as text: what people and peers write may be anything.

import Testing
import TextForms

@Suite struct TextFormsTests {
  @Test func base64AgreesWithTheVectorsOfRFC4648() {
    let vectors = [
      ("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg"),
      ("fooba", "Zm9vYmE"), ("foobar", "Zm9vYmFy"),
    ]
    for (plain, coded) in vectors {
      #expect(Base64.encode(Array(plain.utf8)) == Array(coded.utf8))
      #expect(Base64.decode(Array(coded.utf8)) == Array(plain.utf8))
      let padded = coded + String(repeating: "=", count: (4 - coded.count % 4) % 4)
      #expect(Base64.encode(Array(plain.utf8), padded: true) == Array(padded.utf8))
      #expect(Base64.decode(Array(padded.utf8)) == Array(plain.utf8))
    }
  }

  @Test(arguments: ["Z", "Zg=", "Zm9vY", "Zm9v=", "Zm9v==", "====", "Zm 9v", "Zm9-", "=Zg="])
  func malformedBase64IsRefused(_ text: String) {
    #expect(Base64.decode(Array(text.utf8)) == nil)
  }

  @Test func allBytesSurviveBothForms() {
    for length in 0...257 {
      let bytes = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ length) }
      #expect(Base64.decode(Base64.encode(bytes)) == bytes)
      #expect(Base64.decode(Base64.encode(bytes, padded: true)) == bytes)
      #expect(Hexadecimal.bytes(Hexadecimal.digits(bytes)) == bytes)
    }
  }

  @Test func hexadecimalIsWrittenSmallAndReadInEitherCase() {
    #expect(Hexadecimal.text([0x00, 0xAB, 0xFF]) == "00abff")
    #expect(Hexadecimal.text(UInt64(0xAB)) == "00000000000000ab")
    #expect(Hexadecimal.text(UInt32.max) == "ffffffff")
    #expect(Hexadecimal.bytes("00aBFf".utf8) == [0x00, 0xAB, 0xFF])
    #expect(Hexadecimal.bytes("".utf8) == [])
    #expect(Hexadecimal.number("00aBFf10".utf8, as: UInt32.self) == 0xAB_FF10)
    #expect(Hexadecimal.number("fFffffffffffffff".utf8, as: UInt64.self) == .max)
  }

  @Test(arguments: [
    "", "0", "abffabf", "00abffabf", "+0abffab", "-0abffab", " 0abffab", "0x0abffa", "0abffabg",
  ])
  func aNumberWithoutAllItsDigitsIsNoHexadecimal(_ text: String) {
    #expect(Hexadecimal.number(text.utf8, as: UInt32.self) == nil)
  }

  @Test(arguments: ["0", "abc", "0g", "g0", " 0", "0x", "+1", "ää"])
  func otherTextIsNoHexadecimal(_ text: String) {
    #expect(Hexadecimal.bytes(text.utf8) == nil)
  }

  @Test(
    arguments: [
      ("0", 0), ("007", 7), ("999999999999999999", 999_999_999_999_999_999),
    ] as [(String, UInt64)])
  func digitsAreRead(_ text: String, _ number: UInt64) {
    #expect(Array(text.utf8).withUnsafeBytes { DecimalDigits.parse($0, digitsMax: 18) } == number)
  }

  @Test(arguments: ["", "-1", "+1", " 1", "1 ", "1a", "1000000000000000000"])
  func otherTextIsNoDigits(_ text: String) {
    #expect(Array(text.utf8).withUnsafeBytes { DecimalDigits.parse($0, digitsMax: 99) } == nil)
  }

  @Test func aNumberIsNoLongerThanRequested() {
    #expect(Array("123".utf8).withUnsafeBytes { DecimalDigits.parse($0, digitsMax: 2) } == nil)
  }

  @Test(arguments: [
    ("example.net:50051", "example.net", 50_051), ("10.0.0.1:1", "10.0.0.1", 1),
    ("[::1]:65535", "::1", 65_535),
  ])
  func addressesAreReadAndWritten(_ text: String, _ host: String, _ port: Int) {
    #expect(HostPort(text) == HostPort(host: host, port: port))
    #expect(HostPort(text)?.description == text)
  }

  @Test(arguments: [
    "", "host", "host:", ":1", "host:0", "host:65536", "host:+1", "host:-1", "host:1a", "::1:5",
    "[::1]", "[]:1", "[host]:1", "a b:1", "a/b:1", "a,b:1", "host:99999999999999999999",
  ])
  func otherTextIsNoAddress(_ text: String) {
    #expect(HostPort(text) == nil)
  }

  @Test func sizesAreReadWithAndWithoutUnits() {
    let sizes = [
      ("0", 0), ("1", 1), ("65536", 65_536), ("64KiB", 65_536), ("64MiB", 64 << 20),
      ("3GiB", 3 << 30), ("16TiB", 16 << 40),
    ]
    for (text, bytes) in sizes { #expect(ByteSize.parse(text) == bytes, "\(text)") }
    let wrong = [
      "", "KiB", "-1", "1.5GiB", "1 GiB", "1GB", "1gib", "1K", "01", "GiB1", "9223372036854775808",
      "8388608TiB",
    ]
    for text in wrong { #expect(ByteSize.parse(text) == nil, "\(text)") }
  }

  @Test(arguments: [
    (0, "0"), (1_023, "1023"), (1_024, "1 KiB"), (1_025, "1025"), (64 << 20, "64 MiB"),
    (1_536 << 20, "1536 MiB"), (64 << 30, "64 GiB"), (2 << 40, "2 TiB"),
  ])
  func sizesAreWrittenInTheirLargestUnit(_ bytes: Int, _ text: String) {
    #expect(ByteSize.text(bytes) == text)
  }

  @Test func namesAreLettersDigitsAndThreeSigns() {
    let longest = String(repeating: "n", count: PlainName.bytesMax)
    for name in ["a", "A-b_c.9", "-", longest] { #expect(PlainName.isValid(name.utf8), "\(name)") }
    for text in ["", longest + "n", "a b", "a/b", "a\n", "\u{e9}", "a:b", "a=b"] {
      #expect(!PlainName.isValid(text.utf8), "\(text)")
    }
  }
}

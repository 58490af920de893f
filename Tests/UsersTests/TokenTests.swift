// Tokens and their digests.

import Testing

@testable import Users

@Suite("Tokens")
struct TokenTests {
  @Test("A token has its user's name, 256 random bits, and is never made twice")
  func make() throws {
    var random = SystemRandomNumberGenerator()
    let one = Token.make(for: "a.b-c", using: &random)
    let other = Token.make(for: "a.b-c", using: &random)
    #expect(one != other)
    #expect(one.hasPrefix("a.b-c.rst_"))
    #expect(one.split(separator: "_", maxSplits: 1).last?.count == 43)
    #expect(one.utf8.count <= Token.bytesMax)
    #expect(name(one) == "a.b-c")
  }

  @Test("Every bit of the secret is drawn")
  func bits() {
    // The characters of a token depend on the lots alone.
    var zeros = Constant(value: 0)
    var ones = Constant(value: .max)
    #expect(Token.make(for: "a", using: &zeros) == "a.rst_" + String(repeating: "A", count: 43))
    #expect(
      Token.make(for: "a", using: &ones) == "a.rst_" + String(repeating: "_", count: 42) + "8")
  }

  private func name(_ token: String) -> String? {
    Array(token.utf8).withUnsafeBytes { Token.name(of: $0) }
  }

  @Test("Bytes that are no token have no name", arguments: ["", ".", ".x", "x"])
  func noName(text: String) {
    #expect(name(text) == nil)
  }

  @Test("A text that is too long is no token")
  func tooLong() {
    #expect(name("a." + String(repeating: "x", count: Token.bytesMax - 2)) == "a")
    #expect(name("a." + String(repeating: "x", count: Token.bytesMax - 1)) == nil)
  }

  @Test("The digest is SHA-256, as `sha256sum` prints it")
  func digest() {
    // FIPS 180-2, appendix B.1.
    let hexadecimal = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    #expect(TokenDigest(of: "abc").hexadecimal == hexadecimal)
    #expect(TokenDigest(hexadecimal: hexadecimal.utf8) == TokenDigest(of: "abc"))
    #expect(TokenDigest(hexadecimal: hexadecimal.uppercased().utf8) == TokenDigest(of: "abc"))
    #expect(TokenDigest(of: "abd") != TokenDigest(of: "abc"))
    #expect(TokenDigest(hexadecimal: hexadecimal.dropLast().utf8) == nil)
    #expect(TokenDigest(hexadecimal: (hexadecimal.dropLast() + "g").utf8) == nil)
    #expect(!"\(TokenDigest(of: "abc"))".contains("ba78"))
  }

  @Test(
    "A bearer's token is found in a header",
    arguments: [
      ("Bearer abc", "abc"), ("bearer abc", "abc"), ("BEARER   abc  ", "abc"), ("Bearer", nil),
      ("Bearer ", nil), ("Bearer    ", nil), ("Basic abc", nil), ("Bearerabc", nil), ("abc", nil),
      ("", nil), ("\u{2}earer abc", nil),
    ] as [(String, String?)])
  func bearer(field: String, token: String?) {
    let found = Array(field.utf8).withUnsafeBytes { field in
      Token.bearer(field).map { String(decoding: $0, as: UTF8.self) }
    }
    #expect(found == token)
  }
}

private struct Constant: RandomNumberGenerator {
  let value: UInt64

  mutating func next() -> UInt64 { value }
}

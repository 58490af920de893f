// Tokens and their digests.

import Testing

@testable import Users

@Suite struct TokenTests {
  @Test func aTokenHasItsUsersName256RandomBitsAndIsNeverMadeTwice() throws {
    var random = SystemRandomNumberGenerator()
    let one = Token.make(for: "a.b-c", using: &random)
    let other = Token.make(for: "a.b-c", using: &random)
    #expect(one != other)
    #expect(one.hasPrefix("a.b-c.rst_"))
    #expect(one.split(separator: "_", maxSplits: 1).last?.count == 43)
    #expect(one.utf8.count <= Token.bytesMax)
    #expect(name(one) == "a.b-c")
  }

  @Test func everyBitOfTheSecretIsDrawn() {
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

  @Test(arguments: ["", ".", ".x", "x"])
  func bytesThatAreNoTokenHaveNoName(text: String) {
    #expect(name(text) == nil)
  }

  @Test func aTextThatIsTooLongIsNoToken() {
    #expect(name("a." + String(repeating: "x", count: Token.bytesMax - 2)) == "a")
    #expect(name("a." + String(repeating: "x", count: Token.bytesMax - 1)) == nil)
  }

  @Test func theDigestIsSHA256AsSha256sumPrintsIt() {
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
    arguments: [
      ("Bearer abc", "abc"), ("bearer abc", "abc"), ("BEARER   abc  ", "abc"), ("Bearer", nil),
      ("Bearer ", nil), ("Bearer    ", nil), ("Basic abc", nil), ("Bearerabc", nil), ("abc", nil),
      ("", nil), ("\u{2}earer abc", nil),
    ] as [(String, String?)])
  func aBearersTokenIsFoundInAHeader(field: String, token: String?) {
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

// Tokens: what clients send to identify their user.
//
//   token  = name "." secret
//   secret = "rst_" 43 characters of Base64url: 256 random bits
//
// The name leads to the user without a search. The prefix of the secret is for programs that search
// repositories and logs for secrets. A node has only the SHA-256 of the whole text: with that many
// random bits no slow hash is needed. Values; any thread.

import Crypto
import TextForms

package enum Token {
  /// A longer text is none, and is not hashed.
  package static let bytesMax = 256
  private static let secretPrefix = "rst_"
  private static let randomBytes = 32
  private static let dot = UInt8(ascii: ".")

  /// Makes a token for a user.
  package static func make(
    for name: String, using random: inout some RandomNumberGenerator
  ) -> String {
    let bytes = (0..<randomBytes).map { _ in UInt8.random(in: 0...255, using: &random) }
    let secret = Base64.encode(bytes).map { byte -> UInt8 in
      switch byte {
      case UInt8(ascii: "+"): UInt8(ascii: "-")
      case UInt8(ascii: "/"): UInt8(ascii: "_")
      default: byte
      }
    }
    return "\(name).\(secretPrefix)\(String(decoding: secret, as: UTF8.self))"
  }

  /// Whether a text may have a token's secret in it.
  static func looksSecret(_ text: String) -> Bool { text.contains(secretPrefix) }

  /// The name in a token; nil if the bytes are no token.
  package static func name(of token: UnsafeRawBufferPointer) -> String? {
    guard token.count <= bytesMax, let end = token.lastIndex(of: dot), end > 0 else { return nil }
    return String(decoding: token[..<end], as: UTF8.self)
  }

  /// The token in the value of an `authorization` field, a slice of it: `Bearer` in any case of
  /// letters, and blanks (RFC 6750). Nil for another scheme.
  package static func bearer(_ field: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
    let scheme: StaticString = "bearer"
    let length = scheme.utf8CodeUnitCount
    guard field.count > length, field[length] == UInt8(ascii: " ") else { return nil }
    for index in 0..<length where field[index] | 0x20 != scheme.utf8Start[index] { return nil }
    var (start, end) = (length + 1, field.count)
    while start < end, field[start] == UInt8(ascii: " ") { start += 1 }
    while start < end, field[end - 1] == UInt8(ascii: " ") { end -= 1 }
    return start < end ? UnsafeRawBufferPointer(rebasing: field[start..<end]) : nil
  }
}

/// The SHA-256 of a token.
package struct TokenDigest: Sendable, Hashable {
  package static let byteCount = 32
  private let words: (UInt64, UInt64, UInt64, UInt64)

  /// Of a token. O(bytes).
  package init(of token: UnsafeRawBufferPointer) {
    self.init(Array(SHA256.hash(data: token)))
  }

  package init(of token: String) {
    self = Array(token.utf8).withUnsafeBytes { TokenDigest(of: $0) }
  }

  /// As the users file has it: 64 hexadecimal digits. Nil for any other text.
  package init?(hexadecimal text: some Collection<UInt8>) {
    guard text.count == 2 * Self.byteCount, let bytes = Hexadecimal.bytes(text) else { return nil }
    self.init(bytes)
  }

  private init(_ bytes: [UInt8]) {
    func word(_ number: Int) -> UInt64 {
      bytes[8 * number..<8 * number + 8].reduce(0) { $0 << 8 | UInt64($1) }
    }
    words = (word(0), word(1), word(2), word(3))
  }

  package var hexadecimal: String {
    let all = [words.0, words.1, words.2, words.3]
    return Hexadecimal.text(
      all.flatMap { word in
        stride(from: 56, through: 0, by: -8).map { UInt8(truncatingIfNeeded: word >> UInt64($0)) }
      })
  }

  /// The time doesn't depend on where the two differ.
  package static func == (one: TokenDigest, other: TokenDigest) -> Bool {
    let difference =
      (one.words.0 ^ other.words.0) | (one.words.1 ^ other.words.1)
      | (one.words.2 ^ other.words.2) | (one.words.3 ^ other.words.3)
    return difference == 0
  }

  package func hash(into hasher: inout Hasher) {
    hasher.combine(words.0)
    hasher.combine(words.1)
  }
}

extension TokenDigest: CustomStringConvertible {
  /// Digests belong into the users file and nowhere else.
  package var description: String { "a token's digest" }
}

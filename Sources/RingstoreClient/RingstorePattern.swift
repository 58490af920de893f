// Which keys a call selects: message Pattern of keystore.proto.

package import RingstoreAPI

/// A pattern over the bytes of keys.
public struct RingstorePattern: Sendable {
  private enum Kind: Sendable { case glob, regex, prefix }

  /// nil: every key.
  private let kind: Kind?
  private let text: [UInt8]

  private init(_ kind: Kind?, _ text: some RingstoreBytes) {
    self.kind = kind
    self.text = text.ringstoreBytes
  }

  /// Every key.
  public static let all = RingstorePattern(nil, [])

  /// `*`, `?`, `[abc]`, `[^a-z]` and `\` as Redis's KEYS has them; the whole key must match.
  public static func glob(_ pattern: some RingstoreBytes) -> Self { Self(.glob, pattern) }

  /// RE2 syntax over bytes. Must match from the key's first byte on, not up to its last: write `$`
  /// for that.
  public static func regex(_ pattern: some RingstoreBytes) -> Self { Self(.regex, pattern) }

  /// The keys that begin with these bytes.
  public static func prefix(_ bytes: some RingstoreBytes) -> Self { Self(.prefix, bytes) }

  /// Lends the message; nil for every key.
  package func withMessage<Result>(_ body: (V1.Pattern?) -> Result) -> Result {
    text.withUnsafeBytes { text in
      switch kind {
      case nil: body(nil)
      case .glob: body(V1.Pattern(kind: .glob(text)))
      case .regex: body(V1.Pattern(kind: .regex(text)))
      case .prefix: body(V1.Pattern(kind: .prefix(text)))
      }
    }
  }
}

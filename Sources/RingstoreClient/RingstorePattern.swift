// Which keys a call asks for: message Pattern of keystore.proto.

package import NIOCore
internal import RingstoreAPI

/// A pattern over the bytes of keys.
public struct RingstorePattern: Sendable {
  private enum Kind: Int, Sendable { case glob = 1, regex, prefix }

  /// The kind is the number of its field in the message; nil: every key.
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

  /// Appends the pattern as field 1 of a KeysRequest; nothing for every key.
  package func write(into buffer: inout ByteBuffer) {
    guard let kind else { return }
    let mark = buffer.beginLengthDelimited(1, sizeHint: text.count + 6)
    // Written even when empty: which field of the oneof is there says which kind it is.
    text.withUnsafeBytes { buffer.writeBytesField(kind.rawValue, $0) }
    buffer.endLengthDelimited(mark)
  }
}

// The seed of the hash by which shards order their keys. It belongs to a cluster: scans walk the
// keys in the order of their hashes, and positions in that order must stay valid after restarts.
// With the public seed, attackers can choose keys whose hashes collide, and make calls on them
// slow; so a cluster whose keys untrusted clients choose needs a secret one.
//
// Nodes and tokens compare seeds by digests that are keyed with the seed (SipHash-2-4; Aumasson,
// Bernstein: "SipHash: a fast short-input PRF", 2012), which reveal nothing about it. A value; any
// thread. Its text never shows the seed.

internal import TextForms

package struct HashSeed: Sendable, Hashable {
  /// The seed of a cluster that has no setting for it.
  package static let publicSeed = HashSeed(words: (0, 0))
  package static let byteCount = 16

  private let low: UInt64
  private let high: UInt64

  package var words: (UInt64, UInt64) { (low, high) }

  package init(words: (UInt64, UInt64)) {
    (low, high) = words
  }

  /// A seed as people write it: 32 hexadecimal digits. Nil for any other text.
  package init?(hexadecimal text: some StringProtocol) {
    let digits = Array(text.utf8)
    guard digits.count == 2 * Self.byteCount,
      let first = Hexadecimal.number(digits.prefix(Self.byteCount), as: UInt64.self),
      let second = Hexadecimal.number(digits.suffix(Self.byteCount), as: UInt64.self)
    else { return nil }
    self.init(words: (first, second))
  }

  /// A digest of bytes that can't be made without the seed. O(bytes).
  package func digest(_ bytes: [UInt8]) -> UInt64 {
    var state = SipHash24(low, high)
    let whole = bytes.count / 8 * 8
    for start in stride(from: 0, to: whole, by: 8) {
      state.absorb(Self.word(bytes[start..<start + 8]))
    }
    let tail = Self.word(bytes[whole...]) | UInt64(truncatingIfNeeded: bytes.count) << 56
    return state.finish(tail)
  }

  /// What the tokens of scans carry of the seed; 0 only of the public one.
  package var fingerprint: UInt32 {
    if self == .publicSeed { return 0 }
    return max(1, UInt32(truncatingIfNeeded: digest(Array("ringstore scan token".utf8))))
  }

  /// What the files of a shard's log carry of the seed.
  package var logDigest: UInt64 { digest(Array("ringstore log".utf8)) }

  /// What a router's Hello carries of the seed: another for every Hello.
  package func check(cluster: String, router: String, generation: UInt64, shard: String) -> [UInt8]
  {
    var text = Array("ringstore hello".utf8)
    for part in [cluster, router, shard] { text += [0] + Array(part.utf8) }
    for place in 0..<8 { text.append(UInt8(truncatingIfNeeded: generation >> (8 * UInt64(place)))) }
    let digest = digest(text)
    return (0..<8).map { UInt8(truncatingIfNeeded: digest >> (8 * UInt64($0))) }
  }

  private static func word(_ bytes: ArraySlice<UInt8>) -> UInt64 {
    bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }
}

extension HashSeed: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  package var description: String { self == .publicSeed ? "public" : "secret" }
  package var debugDescription: String { description }
  package var customMirror: Mirror { Mirror(self, children: []) }
}

private struct SipHash24 {
  private var v0: UInt64
  private var v1: UInt64
  private var v2: UInt64
  private var v3: UInt64

  init(_ low: UInt64, _ high: UInt64) {
    v0 = low ^ 0x736f_6d65_7073_6575
    v1 = high ^ 0x646f_7261_6e64_6f6d
    v2 = low ^ 0x6c79_6765_6e65_7261
    v3 = high ^ 0x7465_6462_7974_6573
  }

  mutating func absorb(_ word: UInt64) {
    v3 ^= word
    for _ in 0..<2 { round() }
    v0 ^= word
  }

  mutating func finish(_ tail: UInt64) -> UInt64 {
    absorb(tail)
    v2 ^= 0xff
    for _ in 0..<4 { round() }
    return v0 ^ v1 ^ v2 ^ v3
  }

  private mutating func round() {
    v0 = v0 &+ v1
    v1 = Self.rotate(v1, 13) ^ v0
    v0 = Self.rotate(v0, 32)
    v2 = v2 &+ v3
    v3 = Self.rotate(v3, 16) ^ v2
    v0 = v0 &+ v3
    v3 = Self.rotate(v3, 21) ^ v0
    v2 = v2 &+ v1
    v1 = Self.rotate(v1, 17) ^ v2
    v2 = Self.rotate(v2, 32)
  }

  private static func rotate(_ word: UInt64, _ bits: UInt64) -> UInt64 {
    word &<< bits | word &>> (64 &- bits)
  }
}

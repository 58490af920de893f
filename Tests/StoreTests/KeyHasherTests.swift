// Scan cursors outlive processes, so the hash may never change.

import Testing

@testable import Store

@Suite struct KeyHasherTests {
  @Test func theHashIsSipHash13() {
    // The empty input under the key 00 01 .. 0f, as in the test vectors of Rust's core::hash.
    let hasher = KeyHasher(seed: (0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908))
    let hash = Bytes().withUnsafeBytes { hasher.hash($0) }
    #expect(hash == 0xabac_0158_050f_c4dc)
  }

  /// CPython 3.11 hashes bytes with SipHash-1-3 as well: PYTHONHASHSEED=0 gives these.
  @Test(
    arguments: [
      ("a", 0x4074_48d2_b89b_1813), ("abcdefg", 0x6db1_2aae_9070_f506),
      ("abcdefgh", 0x3f7b_849c_0b8e_35ea), ("the quick brown fox", 0x5a17_575a_d344_9cba),
    ] as [(String, UInt64)])
  func anIndependentImplementationAgrees(text: String, expected: UInt64) {
    let hash = Bytes(text).withUnsafeBytes { KeyHasher(seed: (0, 0)).hash($0) }
    #expect(hash == expected)
  }

  @Test func everyByteAndTheLengthCount() {
    let hasher = KeyHasher(seed: (0, 0))
    var hashes: Set<UInt64> = []
    var inputs = 0
    for length in 0...40 {
      let zeros = Bytes(repeating: 0, count: length)
      hashes.insert(zeros.withUnsafeBytes { hasher.hash($0) })
      inputs += 1
      for index in 0..<length {
        var changed = zeros
        changed[index] = 1
        hashes.insert(changed.withUnsafeBytes { hasher.hash($0) })
        inputs += 1
      }
    }
    #expect(hashes.count == inputs)
  }

  @Test func theSeedDecidesTheHash() {
    let key = Bytes("key")
    let hashes = [(0, 0), (0, 1), (1, 0)].map { seed in
      key.withUnsafeBytes { KeyHasher(seed: seed).hash($0) }
    }
    #expect(Set(hashes).count == 3)
  }
}

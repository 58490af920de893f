// The cluster's hash seed: how it is written, what is shown of it, and how nodes compare theirs.

import RingstoreAPI
import Testing

@Suite struct HashSeedTests {
  private let digits = "000102030405060708090a0B0C0D0E0F"

  /// SipHash's own test vectors: the key is 00 01 ... 0f, the input the first bytes of 00 01 ...
  @Test(
    arguments: [
      (0, 0x726f_db47_dd0e_0e31), (1, 0x74f8_39c5_93dc_67fd), (7, 0xab02_00f5_8b01_d137),
      (8, 0x93f5_f579_9a93_2462), (15, 0xa129_ca61_49be_45e5), (63, 0x958a_324c_eb06_4572),
    ] as [(UInt8, UInt64)])
  func digestsAreSipHash2To4(_ count: UInt8, _ expected: UInt64) {
    let seed = HashSeed(words: (0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908))
    #expect(seed.digest(Array(0..<count)) == expected)
  }

  @Test func aSeedIs32HexadecimalDigits() throws {
    let seed = try #require(HashSeed(hexadecimal: digits))
    #expect(seed.words == (0x0001_0203_0405_0607, 0x0809_0a0b_0c0d_0e0f))
    for wrong in ["", "public", String(digits.dropLast()), digits + "0", "+" + digits.dropFirst()] {
      #expect(HashSeed(hexadecimal: wrong) == nil, "\(wrong)")
    }
    #expect(HashSeed(hexadecimal: String(repeating: "ä", count: 16)) == nil)
  }

  @Test func noTextShowsASeed() throws {
    let seed = try #require(HashSeed(hexadecimal: digits))
    var limits = Limits()
    limits.hashSeed = seed
    var dumped = ""
    dump(limits, to: &dumped)
    for text in [
      "\(seed)", String(reflecting: seed), "\(limits)", String(reflecting: limits), dumped,
    ] {
      #expect(!text.contains("283686952306183"), "the first word, in decimal: \(text)")
      #expect(!text.lowercased().contains("1020304"), "\(text)")
    }
    #expect("\(seed)" == "secret" && "\(HashSeed.publicSeed)" == "public")
  }

  @Test func eachHelloHasACheckOfItsOwnAndEachSeedAnother() throws {
    let seed = try #require(HashSeed(hexadecimal: digits))
    let checks = [
      seed.check(cluster: "c", router: "r", generation: 1, shard: "a"),
      seed.check(cluster: "c", router: "r", generation: 2, shard: "a"),
      seed.check(cluster: "c", router: "r", generation: 1, shard: "b"),
      seed.check(cluster: "cr", router: "", generation: 1, shard: "a"),
      HashSeed.publicSeed.check(cluster: "c", router: "r", generation: 1, shard: "a"),
    ]
    #expect(Set(checks).count == checks.count)
  }

  @Test func onlyThePublicSeedHasNoFingerprint() throws {
    #expect(HashSeed.publicSeed.fingerprint == 0)
    for word in 0..<1_000 as Range<UInt64> {
      #expect(HashSeed(words: (word, 1)).fingerprint != 0)
    }
  }
}

// Key -> slot: the checksum, Redis Cluster's published slots, hash tags.

import Placement
import TestSeeds
import Testing

/// The checksum as its definition reads, one bit at a time.
private func bitwiseChecksum(_ bytes: [UInt8]) -> UInt16 {
  var crc: UInt16 = 0
  for byte in bytes {
    for bit in (0..<8).reversed() {
      let out = (crc >> 15) ^ UInt16((byte >> UInt8(bit)) & 1)
      crc = out == 0 ? crc << 1 : (crc << 1) ^ 0x1021
    }
  }
  return crc
}

@Suite struct SlotTests {
  @Test func theChecksumIsTheOneThatTheClusterSpecificationNames() {
    let checksum = Array("123456789".utf8).withUnsafeBytes { CRC16.checksum($0) }
    #expect(checksum == 0x31C3)
    #expect(slot(of: "123456789") == 12739)
  }

  @Test func theChecksumOfNothingIsZero() {
    #expect(CRC16.checksum(UnsafeRawBufferPointer(start: nil, count: 0)) == 0)
    #expect(Slots.slot(of: UnsafeRawBufferPointer(start: nil, count: 0)) == 0)
  }

  @Test func theChecksumAgreesWithItsDefinitionAtEveryLength() {
    var random = SeededRandom(seed: 7)
    for length in 0..<200 {
      let bytes = (0..<length).map { _ in UInt8.random(in: 0...255, using: &random) }
      #expect(bytes.withUnsafeBytes { CRC16.checksum($0) } == bitwiseChecksum(bytes))
    }
  }

  @Test(arguments: [
    ("foo", 12182), ("bar", 5061), ("hello", 866), ("somekey", 11058), ("foo{hash_tag}", 2515),
    ("bar{hash_tag}", 2515), ("{user1000}.following", 3443), ("{user1000}.followers", 3443),
  ])
  func keysLieWhereRedisClusterPutsThem(key: String, expected: Int) {
    #expect(slot(of: key) == expected)
  }

  @Test(arguments: [
    ("{user}:a", "user"), ("a{user}b", "user"), ("foo{{bar}}zap", "{bar"),
    ("foo{bar}{zap}", "bar"), ("}{x}", "x"), ("{a}", "a"), ("{ }", " "), ("x}y{z}", "z"),
    ("{a{b}c}", "a{b"),
  ])
  func onlyTheHashTagCounts(key: String, tag: String) {
    #expect(slot(of: key) == slot(of: tag))
    #expect(slot(of: key) == Int(bitwiseChecksum(Array(tag.utf8)) % 16384))
  }

  @Test(arguments: ["foo{}{bar}", "{}", "{}x", "foo{bar", "foo}bar{", "{", "}", "a}b", "a{"])
  func aKeyWithoutAFilledTagCountsWhole(key: String) {
    #expect(slot(of: key) == Int(bitwiseChecksum(Array(key.utf8)) % 16384))
  }

  @Test func binaryKeysHaveSlotsToo() {
    let key: [UInt8] = [0, 0xff, 0x7b, 0, 0xfe, 0x7d, 0x80]
    #expect(slot(of: key) == Int(bitwiseChecksum([0, 0xfe]) % 16384))
  }

  @Test func bracesAreFoundWhereverTheyStand() {
    var random = SeededRandom(seed: 3)
    let alphabet = Array("{}aaaaaaaaaaaaaa|z\u{80}".utf8)
    for _ in 0..<5000 {
      let length = Int.random(in: 0...40, using: &random)
      let key = (0..<length).map { _ in alphabet.randomElement(using: &random) ?? 0 }
      var hashed = key[...]
      if let open = key.firstIndex(of: 0x7b) {
        let tag = key[(open + 1)...].prefix { $0 != 0x7d }
        if !tag.isEmpty && tag.endIndex < key.count { hashed = tag }
      }
      #expect(slot(of: key) == Int(bitwiseChecksum(Array(hashed)) % 16384))
    }
  }
}

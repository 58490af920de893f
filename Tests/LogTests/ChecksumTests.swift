// CRC32C: the known values, and the two ways to compute it against each other.

import CCRC32C
import TestSeeds
import Testing

@testable import Log

@Suite struct ChecksumTests {
  private func both(_ bytes: Bytes, from start: Int = 0) -> [UInt32] {
    bytes.withUnsafeBytes { all in
      let bytes = UnsafeRawBufferPointer(rebasing: all[start...])
      return [
        ringstore_crc32c(0, bytes.baseAddress, bytes.count),
        ringstore_crc32c_by_tables(0, bytes.baseAddress, bytes.count),
      ]
    }
  }

  /// RFC 3720 appendix B.4, and the check value of the catalogues.
  static let known: [(Bytes, UInt32)] = [
    (Bytes(repeating: 0, count: 32), 0x8a91_36aa),
    (Bytes(repeating: 0xff, count: 32), 0x62a8_ab43), (Bytes(0..<32), 0x46dd_794e),
    (Bytes((0..<32).reversed()), 0x113f_db5c), (Bytes("123456789".utf8), 0xe306_9283), ([], 0),
  ]

  @Test(arguments: known)
  func knownValues(bytes: Bytes, checksum: UInt32) {
    #expect(both(bytes) == [checksum, checksum])
  }

  @Test func bothWaysAgreeForEveryLengthAndAlignmentInOnePieceAndInTwo() {
    var random = SeededRandom(seed: TestSeed.value)
    let bytes = random.bytes(300)
    for start in 0..<16 {
      for end in start...bytes.count {
        let part = Bytes(bytes[start..<end])
        let whole = both(Bytes(bytes[..<end]), from: start)
        #expect(whole[0] == whole[1])
        let middle = part.count / 3
        let inTwo = part.withUnsafeBytes { part in
          let first = Checksum.extend(0, UnsafeRawBufferPointer(rebasing: part[..<middle]))
          return Checksum.extend(first, UnsafeRawBufferPointer(rebasing: part[middle...]))
        }
        #expect(inTwo == whole[0])
      }
    }
  }
}

// The first 4096 bytes of every file.

import Testing

@testable import Log

@Suite struct FileHeaderTests {
  static let header = FileHeader(
    kind: .log, lineage: Lineage(high: 0x1111_2222_3333_4444, low: 0x5555_6666_7777_8888),
    directory: 0x0102_0304_0506_0708, cluster: "live", shard: "s1", seedDigest: 0xabcd_ef01,
    life: 0x1122_3344_5566_7788, epoch: 3, position: 1 << 40, committed: (1 << 40) - 7,
    newestPass: 0)

  private func decode(_ bytes: Bytes) throws -> FileHeader {
    try bytes.withUnsafeBytes { try FileHeader(decoding: $0) }
  }

  @Test func isReadAsItWasWritten() throws {
    var header = Self.header
    #expect(try decode(header.encode()) == header)
    header.kind = .pass
    header.newestPass = nil
    header.cluster = String(repeating: "c", count: FileHeader.nameBytesMax)
    header.shard = String(repeating: "s", count: FileHeader.nameBytesMax)
    #expect(try decode(header.encode()) == header)
    #expect(header.encode().count == 4096)
  }

  @Test func aFlippedBitAnywhereIsFound() {
    let bytes = Self.header.encode()
    for place in bytes.indices {
      for bit in [0, 7] {
        var flipped = bytes
        flipped[place] ^= 1 << bit
        #expect(throws: FileHeader.Defect.self) { try decode(flipped) }
      }
    }
  }

  @Test func tellsAnUnwrittenFileFromAForeignOneAndANewerFormatFromDamage() {
    let bytes = Self.header.encode()
    #expect(throws: FileHeader.Defect.unwritten) { try decode(Bytes(bytes.dropLast())) }
    #expect(throws: FileHeader.Defect.unwritten) { try decode(Bytes(repeating: 0, count: 4096)) }
    #expect(throws: FileHeader.Defect.foreign) { try decode(Bytes(repeating: 1, count: 4096)) }
    var newer = bytes
    newer[8] = 2
    newer.withUnsafeMutableBytes { all in
      let covered = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(all)[..<4092])
      let checksum = Checksum.extend(0, covered)
      all.storeBytes(of: checksum.littleEndian, toByteOffset: 4092, as: UInt32.self)
    }
    #expect(throws: FileHeader.Defect.newerFormat(2)) { try decode(newer) }
  }
}

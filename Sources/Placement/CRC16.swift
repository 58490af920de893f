// The checksum that turns a key into a slot: CRC16/XMODEM (polynomial 0x1021, start 0, no
// reflection, no final xor), the one Redis Cluster's specification names.
//
// Owns: one table of 4 KiB, made once. Pure; may be called from any thread.
//
// Eight bytes a step ("slicing by 8"): table k holds the checksum of each byte followed by k zero
// bytes. The checksum is linear over xor, so a block's checksum is the xor of its bytes' entries.

package enum CRC16 {
  static let polynomial: UInt16 = 0x1021

  /// Table k, byte b at index k * 256 + b.
  private static let tables: ContiguousArray<UInt16> = {
    var tables = ContiguousArray<UInt16>(repeating: 0, count: 8 * 256)
    for byte in 0..<256 {
      var crc = UInt16(byte) << 8
      for _ in 0..<8 {
        crc = crc & 0x8000 == 0 ? crc << 1 : (crc << 1) ^ polynomial
      }
      tables[byte] = crc
    }
    for index in 256..<tables.count {
      let shorter = tables[index - 256]
      tables[index] = (shorter << 8) ^ tables[Int(shorter >> 8)]
    }
    return tables
  }()

  /// CRC16/XMODEM of `bytes`; 0 for none. Linear in their number, allocates nothing.
  package static func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt16 {
    tables.withUnsafeBufferPointer { table in
      var crc: UInt16 = 0
      var index = 0
      while bytes.count - index >= 8 {
        let first = Int(bytes[index] ^ UInt8(truncatingIfNeeded: crc >> 8))
        let second = Int(bytes[index + 1] ^ UInt8(truncatingIfNeeded: crc))
        crc = table[7 * 256 + first] ^ table[6 * 256 + second]
        crc ^= table[5 * 256 + Int(bytes[index + 2])] ^ table[4 * 256 + Int(bytes[index + 3])]
        crc ^= table[3 * 256 + Int(bytes[index + 4])] ^ table[2 * 256 + Int(bytes[index + 5])]
        crc ^= table[256 + Int(bytes[index + 6])] ^ table[Int(bytes[index + 7])]
        index += 8
      }
      while index < bytes.count {
        crc = (crc << 8) ^ table[Int(UInt8(truncatingIfNeeded: crc >> 8) ^ bytes[index])]
        index += 1
      }
      return crc
    }
  }
}

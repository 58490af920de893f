// Key -> slot. The slot is the unit of placement, migration, snapshots and table growth; which
// shard owns it is SlotMap's business.
//
// Owns nothing. Pure; may be called from any thread.

package enum Slots {
  /// How many slots there are: 2^14, as in Redis Cluster. Stored data depends on it.
  package static let count = 16384

  /// The slot of `key`, in 0..<count, by Redis Cluster's rule.
  ///
  /// Where the key holds a `{` and a later `}` with at least one byte between, only the bytes
  /// between the first `{` and the first `}` after it are hashed, so that callers can bring keys
  /// together. `foo{}bar` and `foo{bar` are hashed whole. Linear in the key, allocates nothing.
  package static func slot(of key: UnsafeRawBufferPointer) -> Int {
    Int(CRC16.checksum(hashedPart(of: key))) & (count - 1)
  }

  /// The bytes of `key` that decide its slot: its hash tag, or all of it.
  @inline(__always)
  static func hashedPart(of key: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
    guard let open = position(of: UInt8(ascii: "{"), in: key) else { return key }
    let rest = UnsafeRawBufferPointer(rebasing: key[(open + 1)...])
    guard let close = position(of: UInt8(ascii: "}"), in: rest), close > 0 else { return key }
    return UnsafeRawBufferPointer(rebasing: rest[..<close])
  }

  /// The first place of `byte`. Eight bytes a step: most keys have no tag, and this search would
  /// otherwise cost more than their checksum.
  @inline(__always)
  private static func position(of byte: UInt8, in bytes: UnsafeRawBufferPointer) -> Int? {
    let ones: UInt64 = 0x0101_0101_0101_0101
    let wanted = ones &* UInt64(byte)
    guard let start = bytes.baseAddress else { return nil }
    let count = bytes.count
    var index = 0
    while count &- index >= 8 {
      // Where a byte is equal, the xor is zero there and the subtraction borrows into its top bit.
      let difference = start.loadUnaligned(fromByteOffset: index, as: UInt64.self) ^ wanted
      if (difference &- ones) & ~difference & (ones << 7) != 0 { break }
      index &+= 8
    }
    while index < count {
      if start.load(fromByteOffset: index, as: UInt8.self) == byte { return index }
      index &+= 1
    }
    return nil
  }
}

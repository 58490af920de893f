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
  static func hashedPart(of key: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
    guard let open = position(of: UInt8(ascii: "{"), in: key) else { return key }
    let rest = UnsafeRawBufferPointer(rebasing: key[(open + 1)...])
    guard let close = position(of: UInt8(ascii: "}"), in: rest), close > 0 else { return key }
    return UnsafeRawBufferPointer(rebasing: rest[..<close])
  }

  private static func position(of byte: UInt8, in bytes: UnsafeRawBufferPointer) -> Int? {
    bytes.firstIndex(of: byte)
  }
}

// CRC32C, as Swift calls it. Pure functions, any thread.

internal import CCRC32C

package enum Checksum {
  /// Extends a checksum by these bytes.
  @inline(__always)
  package static func extend(_ checksum: UInt32, _ bytes: UnsafeRawBufferPointer) -> UInt32 {
    guard let start = bytes.baseAddress else { return checksum }
    return ringstore_crc32c(checksum, start, bytes.count)
  }

  /// The seed of a batch's checksum: the data's identity and the batch's position.
  static func seed(_ identity: LogIdentity, _ position: LogPosition) -> UInt32 {
    withUnsafeTemporaryAllocation(byteCount: 32, alignment: 8) { bytes in
      var writer = ByteWriter(bytes.baseAddress.unsafelyUnwrapped)
      writer.write(identity.lineage.high)
      writer.write(identity.lineage.low)
      writer.write(identity.life)
      writer.write(position)
      return extend(0, UnsafeRawBufferPointer(bytes))
    }
  }
}

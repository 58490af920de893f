// The key of a request: a router reads it before it passes the bytes on. It reads two fields and
// skips the others. Both are decoded exactly as in the generated message, which tests check, so a
// router can't check a permission on one key while the shard executes on another.

import NIOCore

/// The tags of `key` and `database` in the request of a call on one key.
@usableFromInline
package struct KeyFields: Hashable, Sendable {
  @usableFromInline let key: UInt32
  @usableFromInline let database: UInt32

  @inlinable
  init(key: UInt32, database: UInt32) {
    self.key = key
    self.database = database
  }

  /// Appends the database to a request that was written without one.
  package func write(database number: UInt32, into request: inout ByteBuffer) {
    request.write(UIntField(Int(database >> 3)), UInt64(number))
  }

  /// The key and database that a request names. O(number of fields), no allocation.
  package func find(
    in message: UnsafeRawBufferPointer
  ) throws(WireError) -> (key: UnsafeRawBufferPointer, database: UInt32) {
    var found = (key: noBytes, database: UInt32(0))
    var reader = WireReader(message)
    // Most requests begin with a short key, and many have nothing else.
    if let first = reader.readShortBytes(key) { found.key = first }
    while let tag = try reader.nextTag() {
      if tag.rawValue == key {
        found.key = try reader.readBytes()
      } else if tag.rawValue == database {
        found.database = try reader.readUInt32()
      } else {
        try reader.skip(tag)
      }
    }
    return found
  }
}

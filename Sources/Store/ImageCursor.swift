// The order of keys in images, and a position in it.
//
//   order = slot, database, max(1, hash), key bytes
//
// Tables hold keys in the order of their hashes, so an image of a range is a walk over a part of
// the tables. Keys with the same hash are in the order of their bytes: so a range can end after any
// key, even among a million colliding keys.
//
// A value; any thread.

/// A place between two keys of a store.
package struct ImageCursor: Equatable, Sendable {
  package var slot: Int
  package var database: Int
  package var hash: UInt64
  /// Empty but among keys with the same hash. May be a byte longer than any key.
  package var key: [UInt8]

  package init(slot: Int = 0, database: Int = 0, hash: UInt64 = 0, key: [UInt8] = []) {
    self.slot = slot
    self.database = database
    self.hash = hash
    self.key = key
  }

  /// Whether a key is before it: whether the images that end here cover its position.
  /// - Parameter hash: `Store.hash(of:)` the key.
  package func isBehind(
    slot: Int, database: Int, hash: UInt64, key: UnsafeRawBufferPointer
  ) -> Bool {
    if slot != self.slot { return slot < self.slot }
    if database != self.database { return database < self.database }
    let hash = max(1, hash)
    if hash != self.hash { return hash < self.hash }
    return key.lexicographicallyPrecedes(self.key)
  }
}

extension ImageCursor: Comparable {
  package static func < (left: ImageCursor, right: ImageCursor) -> Bool {
    if left.slot != right.slot { return left.slot < right.slot }
    if left.database != right.database { return left.database < right.database }
    if left.hash != right.hash { return left.hash < right.hash }
    return left.key.lexicographicallyPrecedes(right.key)
  }
}

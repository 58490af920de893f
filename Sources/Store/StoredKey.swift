// A copied key of a database, to keep it longer than a call. A value; any thread.

package struct StoredKey: Hashable, Sendable {
  package let database: Int
  package let bytes: [UInt8]

  package init(_ key: UnsafeRawBufferPointer, database: Int) {
    self.database = database
    bytes = Array(key)
  }
}

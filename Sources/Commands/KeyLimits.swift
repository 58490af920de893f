// What a key and a database may be. A small value: all limits together would be copied for each
// call.

import RingstoreAPI

package struct KeyLimits: Sendable, Hashable {
  /// A key has 1...this many bytes.
  let maxBytes: Int
  /// Databases are numbered 0..<this.
  let databases: UInt32

  package init(_ limits: Limits) {
    maxBytes = limits.maxKeyBytes
    databases = limits.databases
  }

  /// Why a request on `key` in `database` can't be served with any contents of the store, or nil.
  @inline(__always)
  func refusal(key: UnsafeRawBufferPointer, database: UInt32) -> CallError? {
    if key.isEmpty || key.count > maxBytes { return .invalidKey(bytes: key.count, max: maxBytes) }
    return refusal(database: database)
  }

  @inline(__always)
  func refusal(database: UInt32) -> CallError? {
    database < databases ? nil : .noSuchDatabase(database, databases: databases)
  }
}

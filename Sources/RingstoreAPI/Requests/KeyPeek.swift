// Where a request belongs: the router's look at a message before it passes the bytes on. There is
// no second parser here, on purpose: the shard's own view reads the message, so a router can never
// check a permission on one key while the shard executes on another.

/// Which message a call takes, as far as finding its key is concerned.
package enum RequestShape: UInt8, Sendable, CaseIterable {
  case key, keyValue, listInsert, listRange, incrBy
  /// Not a call on one key.
  case other

  /// Field numbers of key and database; nil for `other`.
  package var keyField: Int? { self == .other ? nil : 1 }

  package var databaseField: Int? {
    switch self {
    case .key: 2
    case .keyValue, .listInsert, .incrBy: 3
    case .listRange: 4
    case .other: nil
    }
  }
}

package enum KeyPeek {
  /// The key and database that a one-key call names. O(number of fields), no allocation.
  ///
  /// The command must be routed by one key; for any other the key is empty, which no node accepts.
  package static func peek(
    _ message: UnsafeRawBufferPointer, for command: Command
  ) throws(WireError) -> (key: UnsafeRawBufferPointer, database: UInt32) {
    try peek(message, shape: command.shape)
  }

  /// The same for callers that keep the shape at hand (`CommandTable.shape(ofMethod:)`).
  package static func peek(
    _ message: UnsafeRawBufferPointer, shape: RequestShape
  ) throws(WireError) -> (key: UnsafeRawBufferPointer, database: UInt32) {
    switch shape {
    case .key:
      let view = try KeyView(message)
      return (view.key, view.database)
    case .keyValue:
      let view = try KeyValueView(message)
      return (view.key, view.database)
    case .listInsert:
      let view = try ListInsertView(message)
      return (view.key, view.database)
    case .listRange:
      let view = try ListRangeView(message)
      return (view.key, view.database)
    case .incrBy:
      let view = try IncrByView(message)
      return (view.key, view.database)
    case .other:
      assertionFailure("a call that is not about one key has no key to peek at")
      return (noBytes, 0)
    }
  }
}

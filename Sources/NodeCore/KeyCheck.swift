// The one check of a call's key, used by routers before they place a call and by shards before
// they execute it: were there two, a permission checked on one key might be used on another.

import RingstoreAPI

package enum KeyCheck {
  /// Reads and checks the key and the database of a call on one key.
  ///
  /// - Returns: the key, a slice of `message`, and the number of the database.
  /// - Throws: INTERNAL where the message can't be decoded, INVALID_KEY, NO_SUCH_DATABASE.
  @inline(__always)
  package static func check(
    _ message: UnsafeRawBufferPointer, _ command: Command, _ limits: Limits
  ) throws(CallError) -> (key: UnsafeRawBufferPointer, database: Int) {
    let target: (key: UnsafeRawBufferPointer, database: UInt32)
    do throws(WireError) {
      target = try KeyPeek.peek(message, for: command)
    } catch {
      throw .undecodable(error)
    }
    try check(key: target.key, limits)
    return (target.key, try check(database: target.database, limits))
  }

  @inline(__always)
  package static func check(key: UnsafeRawBufferPointer, _ limits: Limits) throws(CallError) {
    guard key.count > 0 else { throw .invalidKey("the key is empty") }
    guard key.count <= limits.maxKeyBytes else {
      throw .invalidKey("the key has \(key.count) bytes, more than the \(limits.maxKeyBytes) allowed")
    }
  }

  @inline(__always)
  package static func check(database: UInt32, _ limits: Limits) throws(CallError) -> Int {
    guard database < UInt32(clamping: limits.databases) else {
      throw .noSuchDatabase(database, count: limits.databases)
    }
    return Int(database)
  }
}
